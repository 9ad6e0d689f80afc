/** Condition made of twenty, of which the group `staff` meets only the last. */
export const TWENTY_CONDITIONS = {
  any: [
    ...[1, 2, 3, 4].map((index) => ({
      all: [
        { emailDomains: ['example.com'] },
        { none: [{ groups: [`banned${index}`] }] },
        { claims: { name: [`name${index}`, 'alice'] } },
        { groups: [`admins${index}`] },
      ],
    })),
    { users: ['bob'] },
    { emails: ['bob@example.com'] },
    { networks: ['192.0.2.0/24'] },
    { groups: ['staff'] },
  ],
}
