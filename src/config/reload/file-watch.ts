import { realpathSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { sha256 } from '../../crypto/digest.ts'
import { isFile, readBytes } from '../sources/read-text.ts'

/** Content of several files, compared from look to look. */
export interface FileWatch {
  /**
   * Looks at the files. Returns a text that is the same as long as their contents are, or `undefined` while one of them
   * may still be being written.
   */
  look(paths: readonly string[]): string | undefined
}

/** One file as last seen. */
interface Seen {
  /** File behind all links; `undefined` where there is none. */
  readonly target?: string
  /** Changes with each writing; `undefined` where the file could not be read. */
  readonly mark: string | undefined
  /** Digest of all bytes, blanks at the end among them, or the error of a file that cannot be read. */
  readonly content: string
  /** Monotonic time since which the content is the same. */
  readonly sinceMs: number
}

const UNSEEN: Seen = { mark: undefined, content: '', sinceMs: 0 }

/**
 * Time for which a content must have been the same before it is used, because half a file may be a valid one with fewer
 * restrictions. A new inode proves nothing, because many programs remove a file first and then write it in place.
 */
const SETTLED_MS = 2000

/** Creates a watch whose first look finds nothing settled. */
export function createFileWatch(): FileWatch {
  let seen: ReadonlyMap<string, Seen> = new Map()
  return {
    look(paths) {
      const nowMs = performance.now()
      seen = new Map(paths.map((path) => [path, lookAt(path, seen.get(path) ?? UNSEEN, nowMs)]))
      const all = [...seen.values()]
      return all.every(({ sinceMs }) => nowMs - sinceMs >= SETTLED_MS)
        ? all.map(({ content }) => content).join(' ')
        : undefined
    },
  }
}

/** Reads a file only where its mark is another one, or where it could not be read. */
function lookAt(path: string, before: Seen, nowMs: number): Seen {
  const found = markOf(path)
  if (found.mark !== undefined && found.mark === before.mark) return before
  const read = found.mark === undefined ? found : { ...found, ...contentOf(path, found.mark) }
  if (isSwapped(before, found)) return { ...read, sinceMs: Number.NEGATIVE_INFINITY }
  return { ...read, sinceMs: before.content === read.content ? before.sinceMs : nowMs }
}

/**
 * Returns whether a link leads to another file, as when the kubelet swaps `..data` of a ConfigMap. That file counts as
 * whole at once, because it is written before the swap; one in the folder of the link may have replaced the link itself.
 */
function isSwapped(before: Seen, { target, folder }: Found): boolean {
  if (before.target === undefined || target === undefined) return false
  return target !== before.target && dirname(target) !== folder
}

interface Found {
  /** File behind all links, and the folder of the path likewise; absent where there is none. */
  readonly target?: string
  readonly folder?: string
  readonly mark: string | undefined
  readonly content: string
}

function markOf(path: string): Found {
  try {
    const target = realpathSync.native(path)
    const folder = realpathSync.native(dirname(path))
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(target, { bigint: true })
    return {
      target,
      folder,
      mark: [target, dev, ino, size, mtimeNs, ctimeNs].join(' '),
      content: '',
    }
  } catch (error) {
    return { mark: undefined, content: faultOf(error) }
  }
}

function contentOf(path: string, mark: string): Pick<Found, 'mark' | 'content'> {
  try {
    return isFile(path)
      ? { mark, content: sha256(readBytes(path)) }
      : { mark: undefined, content: 'no file' }
  } catch (error) {
    return { mark: undefined, content: faultOf(error) }
  }
}

function faultOf(error: unknown): string {
  const { code, name } = error as NodeJS.ErrnoException
  return code ?? name
}
