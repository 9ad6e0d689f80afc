import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { readContainerLimit } from '../../src/telemetry/container-limit.ts'

const NONE_V1 = '9223372036854771712'
const POD = '/kubepods.slice/pod1/c1'

/** Groups of the process, and files under the mount. */
type Row = readonly [string, string, Readonly<Record<string, string>>, number | undefined]

test.for<Row>([
  ['v2 in a namespace', '0::/', { 'memory.max': '268435456\n' }, 268_435_456],
  ['v2 without a limit', '0::/', { 'memory.max': 'max\n' }, undefined],
  ['v2 nested', `0::${POD}`, { [`${POD}/memory.max`]: '1000' }, 1000],
  [
    'v2 with a lower limit above',
    `0::${POD}`,
    { [`${POD}/memory.max`]: 'max', '/kubepods.slice/pod1/memory.max': '900' },
    900,
  ],
  ['v2 under a path of the host', `0::${POD}`, { 'memory.max': '800' }, 800],
  ['v2 outside of the namespace', '0::/../../other', { 'memory.max': '700' }, 700],
  ['v2 on a root without such a file', '0::/', {}, undefined],
  ['v1', '4:memory:/', { 'memory/memory.limit_in_bytes': '600\n' }, 600],
  ['v1 without a limit', '4:memory:/', { 'memory/memory.limit_in_bytes': NONE_V1 }, undefined],
  [
    'v1 nested, beside other controllers',
    `9:name=systemd:/\n4:memory,hugetlb:${POD}\n1:cpu:/x\n0::/`,
    {
      [`memory${POD}/memory.limit_in_bytes`]: '500',
      'memory/memory.limit_in_bytes': NONE_V1,
      'memory/x/memory.limit_in_bytes': '1',
    },
    500,
  ],
  [
    'v1 and v2 together',
    '4:memory:/a\n0::/b',
    { 'memory/a/memory.limit_in_bytes': '400', 'unified/b/memory.max': '300' },
    300,
  ],
  ['nonsense', 'x\n\n0::/\n:::', { 'memory.max': '-1' }, undefined],
  ['an empty file', '0::/', { 'memory.max': '' }, undefined],
])('the limit of a container with cgroup %s is found', async ([, memberships, files, expected]) => {
  const folder = await mkdtemp(join(tmpdir(), 'cgroup-'))
  const places = { memberships: join(folder, 'self'), mount: join(folder, 'mount') }
  try {
    await writeFile(places.memberships, `${memberships}\n`)
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(places.mount, name)), { recursive: true })
      await writeFile(join(places.mount, name), text)
    }
    expect(await readContainerLimit(places)).toBe(expected)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('a system without control groups has no limit', async () => {
  const places = { memberships: '/nonexistent/cgroup', mount: '/nonexistent' }
  expect(await readContainerLimit(places)).toBeUndefined()
})
