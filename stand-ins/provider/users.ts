/** User of the provider; every further member is a claim. */
export interface ProviderUser {
  readonly sub: string
  readonly [claim: string]: unknown
}

export const demoUsers: readonly ProviderUser[] = [
  {
    sub: 'alice',
    name: 'Alice Liddell',
    given_name: 'Alice',
    family_name: 'Liddell',
    preferred_username: 'alice',
    email: 'alice@example.com',
    email_verified: true,
    groups: ['staff', 'admins'],
  },
  {
    sub: 'bob',
    name: 'Bob Baumeister',
    given_name: 'Bob',
    family_name: 'Baumeister',
    preferred_username: 'bob',
    email: 'bob@example.com',
    email_verified: true,
    groups: ['staff'],
  },
]
