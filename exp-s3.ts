import { createPublicKey as pub, randomBytes as rb } from 'node:crypto'
import { createAuthority } from './stand-ins/certificates.ts'
import { makeTlsFiles } from './test/support/internal-tls.ts'
import http2 from 'node:http2'; import tls from 'node:tls'; import { constants } from 'node:crypto'
const files = await makeTlsFiles(); const o = await createAuthority(); 
for (const [n,c] of [['same name', await o.issue(['traefik'])],['other name', await (await createAuthority('Other')).issue(['traefik'])],['makeTls',await (await makeTlsFiles()).authority.issue(['traefik'])]] as const) for (const allow of [true,false]) {
const server = http2.createSecureServer({key:files.issued.privateKey,cert:files.issued.certificate,ca:files.authority.certificate,requestCert:true,rejectUnauthorized:false,...(allow&&{secureOptions:constants.SSL_OP_NO_TICKET})},(q,s)=>s.end(String(q.socket.authorizationError)))
server.prependListener('secureConnection',(s:any)=>{ if(process.argv[2]==='x509') s.getPeerX509Certificate()?.checkPrivateKey; if(process.argv[2]==='verify') { const x=s.getPeerX509Certificate(); x.verify(x.publicKey) } if(process.argv[2]==='key') pub(files.issued.certificate); if(process.argv[2]==='rand') rb(8) });server.on('tlsClientError',e=>console.log('  tlsClientError',e.code,e.message)); server.on('sessionError',e=>console.log('  sessionError',e.message)); server.on('secureConnection',s=>{console.log('  secure',s.authorizationError);s.on('error',(e:Error)=>console.log('  sockerr',e.message))})
await new Promise<void>(r=>server.listen(0,'127.0.0.1',()=>r())); const port=(server.address() as any).port
await new Promise<void>(r=>{const s=http2.connect('https://127.0.0.1:'+port,{rejectUnauthorized:false,cert:c.certificate,key:c.privateKey});s.on('error',e=>{console.log('  client',e.message)});s.on('close',()=>r());const q=s.request({':path':'/'});q.on('error',e=>0);q.on('response',h=>console.log(n,allow,h[':status']));q.on('data',d=>console.log(String(d)));q.on('end',()=>s.close())})
server.close() }
process.exit()
