import { z } from 'zod'
import { claimValues, conditionSource, mapOfNames, textList } from './condition-source.ts'

/** Tokens that a rule accepts, as written in the file; `core/bearer.ts` defines their meaning. */
const bearer = z.strictObject({
  issuers: textList.optional(),
  audiences: textList,
  scopes: textList.optional(),
  claims: claimValues.optional(),
  tokenType: z.enum(['at+jwt', 'jwt']).default('at+jwt'),
})

/** One line without invisible characters or blanks around it; a number would look like the position of another rule. */
const RULE_NAME = /^(?!\d+$|\s)[^\p{C}\p{Zl}\p{Zp}]{1,64}(?<!\s)$/u
const POLICY_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/** One rule as written in the file; `core/access/access-rule.ts` defines its meaning. */
const rule = z.strictObject({
  name: z
    .string('is not a text: write it in quotes')
    .regex(
      RULE_NAME,
      'is not a name: write one line of 1 to 64 visible characters, and more than a number',
    )
    .optional(),
  hosts: textList.optional(),
  paths: textList.optional(),
  methods: textList.optional(),
  access: z.enum(['public', 'optional', 'signed-in', 'deny']),
  emails: textList.optional(),
  emailDomains: textList.optional(),
  groups: textList.optional(),
  allow: conditionSource.optional(),
  policy: z.string('is not the name of one policy').optional(),
  bearer: bearer.optional(),
  oneTime: z.literal(true).optional(),
  preflight: z.literal('pass').optional(),
  degraded: z.literal('deny').optional(),
  report: z.boolean().optional(),
})

/** Named conditions. */
const policies = mapOfNames.pipe(
  z.record(z.string().regex(POLICY_NAME), conditionSource, {
    error: ({ code }) =>
      code === 'invalid_key'
        ? 'is not a name of 1 to 64 letters, digits, dots, dashes and underscores, the first of them a letter or digit'
        : 'is not a map such as policies: { admins: { groups: [admins] } }',
  }),
)

/** Schema of what `VESTIBULE_CONFIG` holds beside settings. */
export const rulesFile = z.strictObject({
  policies: policies.default({}),
  rules: z.array(rule).default([]),
})

export type RulesFile = z.output<typeof rulesFile>
export type RuleSource = z.output<typeof rule>
