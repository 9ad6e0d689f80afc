import { readFileSync } from 'node:fs'

/** The line of an ACL that `docs/operations.md` recommends, for another user and password. */
export const leastUser = (user: string, password: string): string => {
  const [, line] =
    /^user vestibule on >PASSWORD (.+)$/m.exec(readFileSync('docs/operations.md', 'utf8')) ?? []
  if (line === undefined) throw new Error('docs/operations.md recommends no user of Redis')
  return `user ${user} on >${password} ${line}`
}
