import { Hono } from 'hono'
import { listen } from './src/listener/listen.ts'
import { createAuthority } from './stand-ins/certificates.ts'
import * as f from './test/support/http2-frames.ts'
const ca = await createAuthority(); const c = await ca.issue(['localhost','127.0.0.1'])
const app = new Hono(); app.all('/auth', () => new Response(null,{headers:{'X-A':'1'}})); app.get('/big', ()=>new Response('x'.repeat(200000)))
const l = await listen(app as never, {host:'127.0.0.1',port:0,credentials:{current:()=>({cert:c.certificate,key:c.privateKey}),onReplaced(){}},onRefused:(r)=>console.log('   REFUSED',JSON.stringify(r)), onUnwritten:(e)=>console.log('unwritten',e)})
const {FRAME:F,frame,repeated,requestBlock}=f
const H=(id:number,flags=5)=>frame(F.headers,flags,id,requestBlock())
const be=(n:number)=>{const b=Buffer.alloc(4);b.writeUInt32BE(n);return b}
const indexed=(n:number)=>Buffer.alloc(n,0xBE) // index 62
const attacks:Record<string,(s:f.RawSession)=>Promise<void>>={
 plain: async s=>{await s.send(H(1))},
 'rapid reset 5000': async s=>{ for(let i=0;i<50&&!s.isClosed();i++) await s.send(repeated(100,k=>{const id=1+2*(i*100+k);return Buffer.concat([H(id),frame(F.reset,0,id,be(8))])})) },
 'reset of 3000 unopened/answered': async s=>{ for(let i=0;i<30&&!s.isClosed();i++){ await s.send(repeated(100,k=>H(1+2*(i*100+k)))); await new Promise(r=>setTimeout(r,5)); await s.send(repeated(100,k=>frame(F.reset,0,1+2*(i*100+k),be(8)))) } },
 'made you reset (window overflow) 3000': async s=>{ for(let i=0;i<30&&!s.isClosed();i++) await s.send(repeated(100,k=>{const id=1+2*(i*100+k);return Buffer.concat([H(id,4),frame(F.windowUpdate,0,id,be(2**31-1))])})) },
 'made you reset (zero window) 3000': async s=>{ for(let i=0;i<30&&!s.isClosed();i++) await s.send(repeated(100,k=>{const id=1+2*(i*100+k);return Buffer.concat([H(id,4),frame(F.windowUpdate,0,id,be(0))])})) },
 'data on closed 3000': async s=>{ await s.send(H(1)); for(let i=0;i<30&&!s.isClosed();i++) await s.send(repeated(100,()=>frame(F.data,0,1,Buffer.alloc(1)))) },
 'continuation flood': async s=>{ await s.send(frame(F.headers,1,1,requestBlock())); for(let i=0;i<2000&&!s.isClosed();i++) await s.send(frame(F.continuation,0,1,Buffer.concat([Buffer.from([0]),Buffer.from([3]),Buffer.from('abc'),Buffer.from([1]),Buffer.from('x')]))) },
 'continuation empty flood': async s=>{ await s.send(frame(F.headers,1,1,requestBlock())); await s.send(repeated(20000,()=>frame(F.continuation,0,1))) },
 'settings flood': async s=>{ for(let i=0;i<200&&!s.isClosed();i++) await s.send(repeated(100,()=>frame(F.settings,0,0))) },
 'settings big': async s=>{ await s.send(frame(F.settings,0,0,Buffer.concat(Array.from({length:1000},()=>Buffer.from([0,3,0,0,0,100]))))) },
 'settings ack flood': async s=>{ for(let i=0;i<200&&!s.isClosed();i++) await s.send(repeated(100,()=>frame(F.settings,1,0))) },
 'ping flood': async s=>{ for(let i=0;i<200&&!s.isClosed();i++) await s.send(repeated(100,()=>frame(F.ping,0,0,Buffer.alloc(8)))) },
 'ping flood unread': async s=>{ s.socket.pause(); for(let i=0;i<200&&!s.isClosed();i++) await s.send(repeated(100,()=>frame(F.ping,0,0,Buffer.alloc(8)))); s.socket.resume() },
 'ping ack flood': async s=>{ for(let i=0;i<200&&!s.isClosed();i++) await s.send(repeated(100,()=>frame(F.ping,1,0,Buffer.alloc(8)))) },
 'priority flood': async s=>{ for(let i=0;i<200&&!s.isClosed();i++) await s.send(repeated(100,()=>frame(F.priority,0,1,Buffer.from([0,0,0,0,1])))) },
 'window update flood': async s=>{ for(let i=0;i<2000&&!s.isClosed();i++) await s.send(repeated(100,()=>frame(F.windowUpdate,0,0,be(1)))) },
 'unknown frames': async s=>{ for(let i=0;i<2000&&!s.isClosed();i++) await s.send(repeated(100,()=>frame(0x77,0,0,Buffer.alloc(8)))) },
 'empty data flood': async s=>{ await s.send(H(1,4)); for(let i=0;i<200&&!s.isClosed();i++) await s.send(repeated(100,()=>frame(F.data,0,1))) },
 'empty headers (trailers) flood': async s=>{ await s.send(H(1,4)); for(let i=0;i<200&&!s.isClosed();i++) await s.send(repeated(100,()=>frame(F.headers,4,1))) },
 'headers empty new streams': async s=>{ for(let i=0;i<30&&!s.isClosed();i++) await s.send(repeated(100,k=>frame(F.headers,5,1+2*(i*100+k)))) },
 'bad requests 3000': async s=>{ for(let i=0;i<30&&!s.isClosed();i++) await s.send(repeated(100,k=>frame(F.headers,5,1+2*(i*100+k),f.block([[':method','GET'],['Bad Name','x']])))) },
 'hpack bomb': async s=>{ const big=Buffer.concat([Buffer.from([0x40,1]),Buffer.from('a'),Buffer.from([127,0x81,0x1e]),Buffer.alloc(127+1+0x1e*128,97)]); await s.send(frame(F.headers,5,1,Buffer.concat([requestBlock(),big]))); for(let i=0;i<200&&!s.isClosed();i++) await s.send(frame(F.headers,5,3+2*i,Buffer.concat([requestBlock(),indexed(16000)]))) },
 '60KiB': async s=>{ const b=requestBlock('/auth',Array.from({length:58},(_,i)=>['x-'+i,'p'.repeat(1000)] as [string,string])); const parts:Buffer[]=[]; for(let i=0;i<b.length;i+=16000) parts.push(b.subarray(i,i+16000)); await s.send(Buffer.concat(parts.map((p,i)=>frame(i?F.continuation:F.headers,(i?0:1)|(i===parts.length-1?4:0),1,p)))) },
 '70KiB': async s=>{ const b=requestBlock('/auth',Array.from({length:70},(_,i)=>['x-'+i,'p'.repeat(1000)] as [string,string])); const parts:Buffer[]=[]; for(let i=0;i<b.length;i+=16000) parts.push(b.subarray(i,i+16000)); await s.send(Buffer.concat(parts.map((p,i)=>frame(i?F.continuation:F.headers,(i?0:1)|(i===parts.length-1?4:0),1,p)))) },
 'streams over 1000 open': async s=>{ for(let i=0;i<40&&!s.isClosed();i++) await s.send(repeated(50,k=>frame(F.headers,5,1+2*(i*50+k),requestBlock('/big')))) },
 'goaway flood': async s=>{ for(let i=0;i<200&&!s.isClosed();i++) await s.send(repeated(100,()=>frame(F.goaway,0,0,Buffer.alloc(8)))) },
 'garbage': async s=>{ await s.send(Buffer.alloc(1000,255)) },
 'altsvc/origin': async s=>{ for(let i=0;i<2000&&!s.isClosed();i++) await s.send(repeated(100,()=>frame(0xa,0,0,Buffer.from([0,1,97])))) },
 'push promise': async s=>{ await s.send(frame(5,4,1,Buffer.concat([be(2),requestBlock()]))) },
 'priority_update': async s=>{ for(let i=0;i<2000&&!s.isClosed();i++) await s.send(repeated(100,()=>frame(0x10,0,0,Buffer.concat([be(1),Buffer.from('u=1')])))) },
}
const only=process.argv[2]
for (const [name,act] of Object.entries(attacks)) { if(only&&!name.includes(only)) continue
 const s=await f.openRawSession(l.port); const t=performance.now(),cpu=process.cpuUsage(); await act(s); await Promise.race([s.closed,new Promise(r=>setTimeout(r,1500))])
 const cs=process.cpuUsage(cpu); const fr=s.frames(); const counts:Record<string,number>={}; for(const x of fr) counts[x.type]=(counts[x.type]??0)+1
 const go=fr.find(x=>x.type===7); const rst=[...new Set(fr.filter(x=>x.type===3).map(x=>x.payload.readUInt32BE(0)))]
 console.log(name.padEnd(38), s.isClosed()?'CLOSED':'open', Math.round(performance.now()-t)+'ms','cpu',Math.round((cs.user+cs.system)/1000), JSON.stringify(counts), 'goaway',go&&[go.payload.readUInt32BE(4),go.payload.subarray(8).toString()],'rst',rst)
 await s[Symbol.asyncDispose]() }
await l.close(100); process.exit()
