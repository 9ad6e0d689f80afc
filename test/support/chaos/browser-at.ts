import { createCookieJar } from '../cookie-jar.ts'
import { createVisitor, type Visitor } from '../visitor.ts'
import type { ChaosReplica } from './chaos-replica.ts'

const HOST = 'app.example.com'

export function subOf(person: number): string {
  return `person-${person}`
}

/** People come from addresses of their own. */
export function browserAt(
  { publicPort }: ChaosReplica,
  person: number,
  cookies = createCookieJar(),
): Visitor {
  return createVisitor({
    connectTo: { [HOST]: `http://127.0.0.1:${publicPort}` },
    headers: { 'X-Forwarded-For': `203.0.113.${person + 1}` },
    cookies,
  })
}
