import type { PeerExample } from './example.ts'

const query = 'policy=people'

export const traefikForwardAuth: readonly PeerExample[] = [
  {
    peer: 'ItalyPaleAle/traefik-forward-auth',
    page: 'Authorization conditions, "Syntax for conditions"',
    theirs: `
forwardAuth:
  # if=(Group("managers") || Role("hr")) && !Eq("id","bad")
  address: http://traefik-forward-auth:4181/portals/main?if=%28Group%28%22managers%22%29%20%7C%7C%20Role%28%22hr%22%29%29%20%26%26%20%21Eq%28%22id%22%2C%22bad%22%29
`,
    ours: `
# forwardAuth: { address: http://vestibule:4181/auth?policy=people }
policies:
  people:
    any: [{ groups: [managers] }, { claims: { roles: [hr] } }]
    none: [{ users: [bad] }]
rules:
  - access: signed-in
`,
    rows: [
      { query, theirs: 'sign in' },
      { query, who: { groups: ['managers'] }, theirs: 'pass' },
      { query, who: { roles: ['hr'] }, theirs: 'pass' },
      { query, who: { groups: ['staff'] }, theirs: 'refuse' },
      { query, who: { sub: 'bad', groups: ['managers'] }, theirs: 'refuse' },
      {
        query,
        who: { groups: 'managers users' },
        theirs: 'pass',
        ours: ['refuse', 'one text is one group, unless OIDC_GROUPS_SEPARATOR=space'],
      },
      {
        query: 'if=Group("managers")',
        who: { groups: ['managers'] },
        theirs: 'pass',
        ours: ['refuse', 'the address names a policy; conditions themselves stand in the file'],
      },
    ],
  },
]
