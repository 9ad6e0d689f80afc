import type { Claims } from '../../claims.ts'
import type { IdentityOptions } from '../../read-identity.ts'

/** Question of an operator: may this person do this? Without a person, nobody is signed in. */
export interface Question {
  /** Address that a browser or script asks for, with its scheme. */
  readonly url: string
  /** Defaults to `GET`. */
  readonly method?: string
  /** Subject (`sub`) of the person. */
  readonly user?: string
  /** Address that counts as verified. */
  readonly email?: string
  /** Groups of the person; none of them is not the same as an absent list, with which they are unknown. */
  readonly groups?: readonly string[]
  /** Claims as the provider sends them, by name or path. */
  readonly claims?: Claims
  /** Address of the client, as the proxy tells it; absent means that it is unknown. */
  readonly ip?: string
  /** Policy that the address of the middleware demands. */
  readonly policy?: string
}

/** Parts of an address as Traefik forwards them, none of them resolved or decoded. */
export interface AskedUrl {
  readonly proto: string
  readonly host: string
  /** Path and query, where bytes beyond ASCII are percent-encoded as every client does. */
  readonly uri: string
  /** Path and query that a browser sends for the same address, where it resolves or encodes more. */
  readonly browserUri?: string
}

/** Text for an address of another form. */
export const URL_FORM =
  'must be a whole address such as https://app.example.com/path, without a user name'

const FORM = /^(https?|wss?):\/\/([^/?#@]+)(?![^/?#])([^#]*)/i

/** Splits an address without parsing it, because a URL parser resolves what the check has to see; `undefined` for another form. */
export function splitUrl(url: string): AskedUrl | undefined {
  const [, proto = '', host = '', rest = ''] = FORM.exec(url) ?? []
  if (host === '') return undefined
  const target = rest.startsWith('/') ? rest : `/${rest}`
  const uri = target.toWellFormed().replaceAll(/[^\x00-\x7f]+/g, encodeURIComponent)
  const parsed = URL.parse(url)
  const browserUri = parsed ? parsed.pathname + parsed.search : uri
  return { proto: proto.toLowerCase(), host, uri, ...(browserUri !== uri && { browserUri }) }
}

/** Claims of the person asked about, as a sign-in would receive them; `undefined` where nobody is signed in. */
export function claimsOf(
  { user, email, groups, claims }: Question,
  issuer: string,
  { emailClaim, groupsClaim }: IdentityOptions,
): Claims | undefined {
  if ([user, email, groups, claims].every((each) => each === undefined)) return undefined
  return {
    iss: issuer,
    ...claims,
    ...(user !== undefined && { sub: user }),
    ...(email !== undefined && { email, email_verified: true, [emailClaim]: email }),
    ...(groups !== undefined && { [groupsClaim]: groups }),
  }
}
