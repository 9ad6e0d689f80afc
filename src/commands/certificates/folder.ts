import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { CertificateError } from './authority.ts'

/** Texts by name of the file. */
type Files = Readonly<Record<string, string>>

/** Folder of certificates that this process alone changes until it is disposed of. */
export interface CertificateFolder extends Disposable {
  readonly has: (name: string) => boolean
  readonly read: (name: string) => string
  /** Writes files that must not exist; either all of them or none. */
  readonly add: (files: Files) => void
  /** Puts files in the place of earlier ones, each at once, with their owner and rights. */
  readonly replace: (files: Files) => void
}

const LOCK = '.vestibule-certificates.lock'
/** Begins the names of files that are not in place yet; a run that was killed leaves them to the next one. */
const NEW = '.vestibule-certificates.new.'
/** Exceeds the time of any run, so that a run that was killed does not lock the folder for ever. */
const LOCK_ENDS_MS = 60_000

/** Opens a folder, which `mayMake` makes where there is none. Throws `CertificateError` while another run changes it. */
export function openCertificateFolder(path: string, mayMake: boolean): CertificateFolder {
  const there = statSync(path, { throwIfNoEntry: false })
  if (there?.isDirectory() === false) throw new CertificateError(`${path} is not a folder`)
  if (!there && !mayMake) throw new CertificateError(`${path} does not exist`)
  mkdirSync(path, { recursive: true, mode: 0o700 })
  const pathOf = (name: string) => join(path, name)
  lock(pathOf(LOCK), path)
  return {
    has: (name) => existsSync(pathOf(name)),
    read: (name) => readFileSync(pathOf(name), 'utf8'),
    add: (files) => writeAll(files, pathOf),
    replace(files) {
      // A reader never sees a part of a file that another one replaces.
      const besides = (name: string) => pathOf(`${NEW}${name}`)
      for (const left of readdirSync(path)) if (left.startsWith(NEW)) rmSync(pathOf(left))
      writeAll(files, besides, (name) => takeOver(besides(name), pathOf(name)))
      try {
        for (const name of Object.keys(files)) renameSync(besides(name), pathOf(name))
      } finally {
        for (const name of Object.keys(files)) rmSync(besides(name), { force: true })
      }
    },
    [Symbol.dispose]: () => rmSync(pathOf(LOCK), { force: true }),
  }
}

function lock(path: string, folder: string): void {
  const since = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()
  // Either way, because the clock may have been set back.
  if (Math.abs(Date.now() - since) > LOCK_ENDS_MS) rmSync(path, { force: true })
  try {
    writeNew(path, `${process.pid}\n`)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    throw new CertificateError(`another run is changing ${folder}: try again in a minute`)
  }
}

/** Writes new files; removes those that it has written when one of them fails. */
function writeAll(
  files: Files,
  pathOf: (name: string) => string,
  afterwards?: (name: string) => void,
): void {
  const written: string[] = []
  try {
    for (const [name, text] of Object.entries(files)) {
      writeNew(pathOf(name), text, isKey(name) ? 0o600 : 0o644)
      written.push(pathOf(name))
      afterwards?.(name)
    }
  } catch (error) {
    for (const path of written) rmSync(path)
    throw error
  }
}

/** Gives a file the owner and the rights of an earlier one, so that the service can still read it. */
function takeOver(path: string, replaced: string): void {
  const earlier = statSync(replaced, { throwIfNoEntry: false })
  if (!earlier) return
  const { uid, gid } = statSync(path)
  if (uid !== earlier.uid || gid !== earlier.gid) giveTo(path, earlier, replaced)
  chmodSync(path, earlier.mode & (isKey(path) ? 0o660 : 0o666))
}

function giveTo(path: string, { uid, gid }: { uid: number; gid: number }, replaced: string): void {
  try {
    chownSync(path, uid, gid)
  } catch {
    throw new CertificateError(
      `${replaced} belongs to ${uid}:${gid}, to whom only root can give its successor: run this as root, or as that user`,
    )
  }
}

/** Writes a file that must not exist; leaves none of which only a part fits on the disk. */
function writeNew(path: string, text: string, mode = 0o600): void {
  const file = openSync(path, 'wx', mode)
  try {
    writeFileSync(file, text, { flush: true })
  } catch (error) {
    rmSync(path)
    throw error
  } finally {
    closeSync(file)
  }
}

function isKey(name: string): boolean {
  return name.endsWith('.key')
}
