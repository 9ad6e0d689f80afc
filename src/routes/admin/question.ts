import { isIP } from 'node:net'
import { z } from 'zod'
import { splitUrl, URL_FORM } from '../../core/access/explain/question.ts'

const text = z.string('is not a text: write it in quotes').min(1, 'is empty')

/** Schema of a question to the rules, in the body of a request and in a file of tests. */
export const question = z.strictObject({
  url: z
    .string({ error: ({ input }) => (input === undefined ? 'is missing' : URL_FORM) })
    .refine((url) => splitUrl(url) !== undefined, { error: URL_FORM }),
  method: z.exactOptional(text),
  user: z.exactOptional(text),
  email: z.exactOptional(text),
  groups: z.exactOptional(z.array(text, 'is not a list such as [a, b]')),
  claims: z.exactOptional(
    z.record(text, z.unknown(), 'is not a map such as { department: sales }'),
  ),
  ip: z.exactOptional(
    z.string('is no IP address').refine((ip) => isIP(ip) !== 0, { error: 'is no IP address' }),
  ),
  policy: z.exactOptional(text),
})

/** Returns each fault with its place, and without the value, which may be personal. */
export function describeIssues({ issues }: z.ZodError): readonly string[] {
  return issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`,
  )
}
