import { createAuthority } from './stand-ins/certificates.ts'
import { makeTlsFiles } from './test/support/internal-tls.ts'
import { startVestibule } from './test/support/vestibule.ts'
import { openHttp2 } from './test/support/http2-client.ts'
const files = await makeTlsFiles(); const v = await startVestibule(files.mutual)
const o = await createAuthority()
for (let i=0;i<10;i++) { const c = await o.issue(['traefik'])
try { const s = await openHttp2(v.internalPort, files.clientWith(c)); s.session.on('error',e=>console.log('ERR',e.message)); s.session.on('goaway',(...a)=>console.log('goaway',a)); console.log((await s.ask('/livez')).status, (await s.ask('/auth')).status) } catch(e) { console.log(String(e)); } }
console.log(v.log().slice(-5)); process.exit()
