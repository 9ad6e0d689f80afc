import type { SentClaims, WrittenFile } from './written.ts'

/** Texts that are known of a claim, and whether there may be more. */
export interface Texts {
  readonly texts: readonly string[]
  readonly isWhole: boolean
}

const NOTHING_KNOWN: Texts = { texts: [], isWhole: false }

/** Returns the person's address if it counts: text that the provider vouches for, or that is trusted. */
export function countedAddress(claims: SentClaims, { oidc = {} }: WrittenFile): string | undefined {
  const address = lookUp(claims, oidc.emailClaim ?? 'email')
  if (typeof address !== 'string' || address === '') return undefined
  const isVouchedFor = ['true', true].includes(claims['email_verified'] as string | boolean)
  return oidc.trustEmail || (isVouchedFor && claims['email'] === address) ? address : undefined
}

/** Reads groups as the table of docs/provider.md says. */
export function groupsAsRead(claims: SentClaims, { oidc = {} }: WrittenFile): Texts {
  const value = lookUp(claims, oidc.groupsClaim ?? 'groups')
  if (isNothing(value)) return NOTHING_KNOWN
  if (Array.isArray(value)) {
    const members = value.filter((member) => !isNothing(member)).map(groupsOfMember)
    return { texts: members.flatMap((each) => each ?? []), isWhole: !members.includes(undefined) }
  }
  if (typeof value === 'string') return { texts: split(value, oidc.groupsSeparator), isWhole: true }
  if (typeof value === 'object') {
    const named = Object.entries(value as object).filter(
      ([name, each]) => name !== '' && each !== false && !isNothing(each),
    )
    return { texts: named.map(([name]) => name), isWhole: true }
  }
  const text = typeof value === 'number' ? textOf(value) : undefined
  return text === undefined ? NOTHING_KNOWN : { texts: [text], isWhole: true }
}

/** Returns the names in a member of a list; `undefined` where it is neither text, a number nor an object with a name. */
function groupsOfMember(member: unknown): readonly string[] | undefined {
  if (typeof member === 'string') return [member]
  if (typeof member === 'number') {
    const text = textOf(member)
    return text === undefined ? undefined : [text]
  }
  if (typeof member !== 'object' || Array.isArray(member)) return undefined
  const { name } = member as { name?: unknown }
  if (typeof name === 'string' && name !== '') return [name]
  const isMap = Object.values(member as object).every(isMapOfTexts)
  return isMap && Object.keys(member as object).length > 0
    ? Object.keys(member as object)
    : undefined
}

/** Recognizes what Zitadel says of a role: the organizations in which it holds, by their ids. */
function isMapOfTexts(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.values(value).every((each) => typeof each === 'string')
}

function split(text: string, separator: string | undefined): readonly string[] {
  if (separator === undefined) return [text]
  const parts = text.split(separator === 'space' ? /\s+/ : separator)
  return parts.map((part) => part.trim()).filter(Boolean)
}

/** Returns the texts of a claim that are compared, but for `email`, which is an address. */
export function comparedTexts(claims: SentClaims, name: string, file: WrittenFile): Texts {
  switch (name) {
    case 'groups':
      return groupsAsRead(claims, file)
    case 'sub':
    case 'name':
    case 'preferred_username': {
      const text = claims[name]
      return whole(typeof text === 'string' && text !== '' ? text : undefined)
    }
    default:
      return plainTexts(lookUp(claims, name))
  }
}

function plainTexts(value: unknown): Texts {
  if (isNothing(value)) return NOTHING_KNOWN
  const members = Array.isArray(value) ? value.filter((member) => !isNothing(member)) : [value]
  const texts = members.map(textOf)
  if (texts.includes(undefined)) return NOTHING_KNOWN
  return { texts: texts as readonly string[], isWhole: true }
}

function whole(text: string | undefined): Texts {
  return text === undefined ? NOTHING_KNOWN : { texts: [text], isWhole: true }
}

/** Returns the text of a scalar; `undefined` for a number that JSON may have rounded, and for anything else. */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER) return undefined
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null || value === ''
}

/** Returns a claim by its literal name, else by the steps of a path, in which `\.` is a dot of a name. */
function lookUp(claims: SentClaims, name: string): unknown {
  const literal = own(claims, name)
  if (!isNothing(literal)) return literal
  const steps = name.match(/(?:\\\.|[^.])+/g) ?? []
  return steps.reduce<unknown>((value, step) => own(value, step.replaceAll('\\.', '.')), claims)
}

function own(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return Object.entries(value).find(([each]) => each === name)?.[1]
}
