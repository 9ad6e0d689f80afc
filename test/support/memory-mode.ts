import { parseSessionCookie } from '../../src/core/session.ts'
import { AuthError } from '../../src/errors.ts'
import { openSessionReplica } from './session-replica.ts'
import { identity, newSession, REALM } from './session-values.ts'

/** Signs in and visits so many people in memory mode, within the limits of this process, and prints how many found room. */
const [count = 0, groupBytes = 0] = process.argv.slice(2).map(Number)
const { sessions, close } = openSessionReplica({
  REDIS_ENABLED: 'false',
  REDIS_CACHE_MODE: 'memory',
})
let signedIn = 0
for (let user = 0; user < count; user++) {
  const groups = Array.from({ length: groupBytes / 25 }, (_, at) =>
    `group-${user}-${at}`.padEnd(24),
  )
  const owners = { user: `user-${user}`.padEnd(43) }
  const tokens = { idToken: 'x'.repeat(700), accessToken: 'y'.repeat(700) }
  try {
    const cookie = await sessions.open({
      ...newSession,
      identity: { ...identity, subject: `user-${user}`, groups },
      tokens,
      metadata: { ...newSession.metadata, owners },
    })
    const credential = parseSessionCookie(cookie)
    if (credential && (await sessions.find(credential, REALM))) signedIn++
  } catch (error) {
    if (!(error instanceof AuthError) || error.code !== 'store_unavailable') throw error
  }
}
process.stdout.write(
  JSON.stringify({ signedIn, residentBytes: process.resourceUsage().maxRSS * 1024 }),
)
await close()
process.exit(0)
