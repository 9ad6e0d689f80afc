import type { PeerExample } from './example.ts'

export const traefikHub: readonly PeerExample[] = [
  {
    peer: 'Traefik Hub',
    page: 'API Gateway: OIDC middleware, "claims"',
    theirs: `
plugin:
  oidc:
    claims: Equals(\`grp\`, \`admin\`)
    forwardHeaders: { Group: grp }
`,
    ours: `
# forwardAuth: { address: http://vestibule:4181/auth?policy=admin }
policies:
  admin: { claims: { grp: [admin] } }
rules:
  - access: signed-in
identityHeaders: [Group=grp]
`,
    rows: [
      { query: 'policy=admin', theirs: 'sign in' },
      { query: 'policy=admin', who: { grp: 'admin' }, theirs: 'pass' },
      { query: 'policy=admin', who: { grp: 'Admin' }, theirs: 'refuse' },
      { query: 'policy=admin', who: {}, theirs: 'refuse' },
      {
        query: 'policy=admin',
        who: { grp: ['admin'] },
        theirs: 'refuse',
        ours: ['pass', 'one key does what Equals and Contains do: a list matches with one member'],
      },
    ],
  },
  {
    peer: 'Traefik Hub',
    page: 'API Gateway: JWT middleware, "Custom Claims Validation": Contains, nested claims, && || !',
    theirs: `
plugin:
  oidc:
    claims: (Contains(\`user.roles\`, \`ops\`) || Equals(\`department\`, \`it\`)) && !Equals(\`contract\`, \`external\`)
`,
    ours: `
rules:
  - access: signed-in
    allow:
      any: [{ claims: { user.roles: [ops] } }, { claims: { department: [it] } }]
      none: [{ claims: { contract: [external] } }]
`,
    rows: [
      { who: { user: { roles: ['dev', 'ops'] }, contract: 'internal' }, theirs: 'pass' },
      { who: { department: 'it', contract: 'internal' }, theirs: 'pass' },
      { who: { department: 'hr', contract: 'internal' }, theirs: 'refuse' },
      { who: { department: 'it', contract: 'external' }, theirs: 'refuse' },
      {
        who: { department: 'it' },
        theirs: 'pass',
        ours: ['refuse', 'none over a claim that nobody sent is unknown, and doubt denies'],
      },
    ],
  },
]
