import { z } from 'zod'

const names = z.array(z.string().min(1))

/** An empty condition would mean everybody or nobody; leaving it out says which. */
const condition = names.min(1)

const scalar = z.union([z.string().min(1), z.number(), z.boolean()])

/** The tokens that a rule accepts; see `core/bearer.ts` for what it means. */
const bearer = z.strictObject({
  issuers: condition.optional(),
  audiences: condition,
  scopes: condition.optional(),
  claims: z.record(z.string().min(1), z.union([scalar, z.array(scalar).min(1)])).optional(),
  tokenType: z.enum(['at+jwt', 'jwt']).default('at+jwt'),
})

/** One rule as written in the file; see `core/access-rule.ts` for what it means. */
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

/** `VESTIBULE_CONFIG`: rules, and the lists that also exist in the environment. Unknown keys are errors. */
export const rulesFile = z.strictObject({
  rules: z.array(rule).default([]),
  protectedHosts: names.optional(),
  publicPaths: names.optional(),
  allowedEmails: names.optional(),
  allowedEmailDomains: names.optional(),
  allowedGroups: names.optional(),
  trustedProxies: names.optional(),
})

export type RuleSource = z.output<typeof rule>
export type RulesFile = z.output<typeof rulesFile>

/** Which list of the file gives which setting where the environment does not. */
export const LISTS = {
  protectedHosts: 'PROTECTED_HOSTS',
  publicPaths: 'PUBLIC_PATHS',
  allowedEmails: 'ALLOWED_EMAILS',
  allowedEmailDomains: 'ALLOWED_EMAIL_DOMAINS',
  allowedGroups: 'ALLOWED_GROUPS',
  trustedProxies: 'TRUSTED_PROXIES',
} as const satisfies Partial<Record<keyof RulesFile, string>>
