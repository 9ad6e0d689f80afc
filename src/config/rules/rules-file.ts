import { z } from 'zod'

/** Refuses an empty list because it could mean everybody or nobody; blanks around a name do not count (C55). */
const condition = z.array(z.string().trim().min(1)).min(1)

const scalar = z.union([z.string().min(1), z.number(), z.boolean()])

/** Tokens that a rule accepts, as written in the file; `core/bearer.ts` defines their meaning. */
const bearer = z.strictObject({
  issuers: condition.optional(),
  audiences: condition,
  scopes: condition.optional(),
  claims: z.record(z.string().min(1), z.union([scalar, z.array(scalar).min(1)])).optional(),
  tokenType: z.enum(['at+jwt', 'jwt']).default('at+jwt'),
})

/** One rule as written in the file; `core/access/access-rule.ts` defines its meaning. */
const rule = z.strictObject({
  hosts: condition.optional(),
  paths: condition.optional(),
  methods: condition.optional(),
  access: z.enum(['public', 'signed-in', 'deny']),
  emails: condition.optional(),
  emailDomains: condition.optional(),
  groups: condition.optional(),
  bearer: bearer.optional(),
  oneTime: z.literal(true).optional(),
  preflight: z.literal('pass').optional(),
  degraded: z.literal('deny').optional(),
})

/** Schema of what `VESTIBULE_CONFIG` holds beside settings. */
export const rulesFile = z.strictObject({ rules: z.array(rule).default([]) })

export type RuleSource = z.output<typeof rule>
