import { z } from 'zod'

const names = z.array(z.string().min(1))

/** An empty condition would mean everybody or nobody; leaving it out says which. */
const condition = names.min(1)

/** One rule as written in the file; see `core/access-rule.ts` for what it means. */
const rule = z.strictObject({
  hosts: condition.optional(),
  paths: condition.optional(),
  methods: condition.optional(),
  access: z.enum(['public', 'signed-in', 'deny']),
  emails: condition.optional(),
  emailDomains: condition.optional(),
  groups: condition.optional(),
  preflight: z.literal('pass').optional(),
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
