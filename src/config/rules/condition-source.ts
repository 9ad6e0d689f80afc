import { z } from 'zod'
import { isRecord } from '../../core/json.ts'

/** Bounds how deep `all`, `any` and `none` nest; the condition of `allow` or of a policy is at depth 0. */
const MAX_DEPTH = 8
const NOT_EMPTY = 'which could mean everybody or nobody: remove it, or name at least one'

/** Makes a list that is not empty. */
function listOf<Member extends z.ZodType>(member: Member, example = '[a, b]') {
  return z
    .array(member, `is not a list such as ${example}`)
    .min(1, `is an empty list, ${NOT_EMPTY}`)
}

/** Texts of which one is enough; blanks around each do not count (C55). */
export const textList = listOf(
  z.string('is not a text: write it in quotes').trim().min(1, 'is an empty text'),
)

const NO_VALUE = 'is neither a text, a number, true or false, nor a list of these'
const scalar = z.union([z.string().min(1, 'is an empty text'), z.number(), z.boolean()], NO_VALUE)

/** Refuses a map with `__proto__`, because `z.record` drops it and thereby a condition in silence (threat A35). */
export const mapOfNames = z.custom<object>(
  (value) => !(isRecord(value) && Object.hasOwn(value, '__proto__')),
  'has the key __proto__, which cannot be a name',
)

/** Values that claims may have, by the name of the claim. */
export const claimValues = mapOfNames.pipe(
  z.record(z.string().min(1), z.union([scalar, listOf(scalar)], NO_VALUE)),
)

type ClaimValues = z.output<typeof claimValues>
type Texts = z.output<typeof textList>

/** Condition as written in the file; `core/access/condition.ts` defines its meaning. */
export interface ConditionSource {
  readonly groups?: Texts
  readonly emails?: Texts
  readonly emailDomains?: Texts
  readonly users?: Texts
  readonly claims?: ClaimValues
  readonly networks?: Texts
  readonly all?: readonly ConditionSource[]
  readonly any?: readonly ConditionSource[]
  readonly none?: readonly ConditionSource[]
}

const NO_CONDITION = 'is not a condition such as { groups: [a] }'

function conditionAt(depth: number): z.ZodType<ConditionSource> {
  const members: z.ZodType<readonly ConditionSource[]> =
    depth < MAX_DEPTH
      ? listOf(conditionAt(depth + 1), '[{ groups: [a] }]')
      : z.never(
          `nests conditions more than ${MAX_DEPTH} deep: several keys of a condition are all needed, and several values of a key are alternatives, without all and any`,
        )
  return z
    .strictObject(
      {
        groups: z.exactOptional(textList),
        emails: z.exactOptional(textList),
        emailDomains: z.exactOptional(textList),
        users: z.exactOptional(textList),
        claims: z.exactOptional(
          claimValues.refine(isNotEmpty, `is an empty map, ${NOT_EMPTY} claim`),
        ),
        networks: z.exactOptional(textList),
        all: z.exactOptional(members),
        any: z.exactOptional(members),
        none: z.exactOptional(members),
      },
      { error: ({ code }) => (code === 'invalid_type' ? NO_CONDITION : undefined) },
    )
    .refine(isNotEmpty, {
      error: `is an empty map, ${NOT_EMPTY} condition`,
      // A key that is unknown says more.
      when: ({ issues }) => issues.length === 0,
    })
}

function isNotEmpty(map: object): boolean {
  return Object.keys(map).length > 0
}

/** Schema of a condition. Its depth is bounded by its own, so that no file exhausts the stack. */
export const conditionSource = conditionAt(0)
