import { readFileSync } from 'node:fs'
import { startProvider } from './provider.ts'

/** Runs the provider alone, for docker-compose.yml. It signs anybody in as any user, so it is for demos only. */
const { ISSUER, CLIENT_ID, CLIENT_ORIGINS, CLIENT_SECRET_FILE, PORT } = process.env
if (!ISSUER || !CLIENT_ID || !CLIENT_ORIGINS || !CLIENT_SECRET_FILE) {
  throw new Error('set ISSUER, CLIENT_ID, CLIENT_ORIGINS and CLIENT_SECRET_FILE')
}
const origins = CLIENT_ORIGINS.split(',')
const provider = await startProvider({
  host: '0.0.0.0',
  port: Number(PORT ?? 4400),
  issuer: ISSUER,
  clients: [
    {
      client_id: CLIENT_ID,
      client_secret: readFileSync(CLIENT_SECRET_FILE, 'utf8').trim(),
      redirect_uris: origins.map((origin) => `${origin}/oauth2/callback`),
      post_logout_redirect_uris: origins.map((origin) => `${origin}/oauth2/signed-out`),
    },
  ],
})
// The first process of a container gets no default handlers of signals.
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => void provider.close())
