import { readFile } from 'node:fs/promises'
import { posix } from 'node:path'

/** Places where Linux tells the control groups of this process and their limits. */
export interface CgroupPlaces {
  /** File with the groups that the process belongs to. */
  readonly memberships: string
  /** Folder with the files of all groups. */
  readonly mount: string
}

const PLACES: CgroupPlaces = { memberships: '/proc/self/cgroup', mount: '/sys/fs/cgroup' }

/** Limits from here on stand for none: cgroup v1 writes the largest number of whole pages. */
const UNLIMITED_BYTES = 2 ** 60

/**
 * Resolves with the lowest memory limit of this process's control group and those above it (cgroup v2 and v1), or
 * `undefined` without one. Read whenever it is asked for, because a container can be resized while it runs.
 */
export async function readContainerLimit(places = PLACES): Promise<number | undefined> {
  const memberships = (await read(places.memberships)) ?? ''
  const files = memberships.split('\n').flatMap((line) => filesOf(line, places.mount))
  const values = await Promise.all([...new Set(files)].map(read))
  const limits = values.flatMap((text) => parseLimit(text) ?? [])
  return limits.length > 0 ? Math.min(...limits) : undefined
}

/** Returns the files from the group's own up to the mount, where a container sees its own limit under another path. */
function filesOf(membership: string, mount: string): string[] {
  const [, id, controllers = '', path = '/'] = /^(\d+):([^:]*):(.*)$/.exec(membership) ?? []
  if (id === undefined) return []
  if (id === '0' && controllers === '')
    return foldersAbove(path).flatMap((folder) => [
      posix.join(mount, folder, 'memory.max'),
      posix.join(mount, 'unified', folder, 'memory.max'),
    ])
  if (!controllers.split(',').includes('memory')) return []
  return foldersAbove(path).map((folder) =>
    posix.join(mount, 'memory', folder, 'memory.limit_in_bytes'),
  )
}

function foldersAbove(path: string): string[] {
  // A group outside of the container's own namespace is shown as `/../…`.
  if (path.includes('..')) return ['/']
  const names = path.split('/').filter((name) => name !== '')
  return [...names.keys(), names.length].map((count) => `/${names.slice(0, count).join('/')}`)
}

function parseLimit(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? ''
  if (!/^\d+$/.test(trimmed)) return undefined
  const bytes = Number(trimmed)
  return bytes > 0 && bytes < UNLIMITED_BYTES ? bytes : undefined
}

function read(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined)
}
