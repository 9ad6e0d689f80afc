import { Hono } from 'hono'
import { listen } from './src/listener/listen.ts'
import { createAuthority } from './stand-ins/certificates.ts'
import * as f from './test/support/http2-frames.ts'
const ca = await createAuthority(); const c = await ca.issue(['localhost','127.0.0.1'])
let release=()=>{}
const app = new Hono(); app.all('/auth', () => new Response(null,{headers:{'X-A':'1'}})); app.get('/slow', async()=>{await new Promise<void>(r=>release=r); return new Response('done')})
const l = await listen(app as never, {host:'127.0.0.1',port:0,credentials:{current:()=>({cert:c.certificate,key:c.privateKey}),onReplaced(){}},onRefused:(r)=>console.log('   REFUSED',JSON.stringify(r))})
const {FRAME:F,frame,requestBlock}=f; const wait=(ms=50)=>new Promise(r=>setTimeout(r,ms))
const show=(n:string,s:f.RawSession)=>console.log(n,s.isClosed(),s.frames().map(x=>[x.type,x.stream,x.type===7?x.payload.readUInt32BE(0)+'/'+x.payload.readUInt32BE(4):''].join(':')).join(' '))
const s=await f.openRawSession(l.port); await s.send(frame(4,1,0)); await s.send(frame(1,5,1,requestBlock())); await wait(); show('first',s)
l.startDraining(); await wait(); show('drain',s)
await s.send(frame(1,5,3,requestBlock())); await wait(); show('stream after notice',s)
const s2=await f.openRawSession(l.port); await s2.send(frame(4,1,0)); await wait(); show('new session in drain',s2); await s2.send(Buffer.concat([frame(1,5,1,requestBlock()),frame(1,5,3,requestBlock())])); await wait(); show('its streams',s2)
await s.send(frame(1,5,5,requestBlock('/slow'))); await wait()
const closed=l.close(3000).then(()=>console.log('closed')); await wait(); show('closing',s); show('closing2',s2)
await s.send(frame(1,5,7,requestBlock())); await wait(); show('stream after close',s)
release(); await wait(); show('released',s); await closed; process.exit()
