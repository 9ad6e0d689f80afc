import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { ValueError } from '../config-error.ts'

/** Bounds what is read of a file, so that a device or a wrong path does not fill the memory. */
const MAX_BYTES = 1024 * 1024
/** Begins every certificate and key in binary form. */
const DER_START = 0x30

/**
 * Reads a file of the configuration without its byte-order mark and the blanks around its text (C55). Throws
 * `ValueError` for one that is no UTF-8 text or too large, and Node's error for one that cannot be read.
 */
export function readText(path: string): string {
  const bytes = readBytes(path)
  if (bytes.length > MAX_BYTES) throw new ValueError(`${path} is larger than ${MAX_BYTES} bytes`)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes).trim()
  } catch {
    throw new ValueError(
      bytes[0] === DER_START
        ? `${path} is binary (DER or PKCS#12): convert it to PEM text with openssl`
        : `${path} is not UTF-8 text: save it as UTF-8`,
    )
  }
}

/** Reads the text at a path; `name` is the setting that gives it. */
export type ReadText = (path: string, name: string, problems: string[]) => string | undefined

/** Reads the text as `readText` does. Adds why it cannot be used to `problems` and returns `undefined` then. */
export function tryReadText(path: string, name: string, problems: string[]): string | undefined {
  try {
    return readText(path)
  } catch (error) {
    if (error instanceof ValueError) problems.push(`${name}: ${error.message}`)
    else {
      const { code } = error as NodeJS.ErrnoException
      problems.push(
        isShown(path, name)
          ? `${name}: ${path} cannot be read (${code}): check the path and its permissions`
          : `${name}: the file that it names cannot be read (${code}): it takes an absolute path, not the text itself`,
      )
    }
    return undefined
  }
}

/** Reads as `tryReadText` does, but no pipe, which would block the service, and can be read once only. */
export function tryReadFile(path: string, name: string, problems: string[]): string | undefined {
  if (isFile(path)) return tryReadText(path, name, problems)
  problems.push(`${name}: ${path} cannot be read (not a file): put a file there`)
  return undefined
}

/** Returns whether there is a file, or nothing, at a path. */
export function isFile(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isFile() ?? true
  } catch {
    return true
  }
}

/** Tells whether a message may show a path. A setting that names a file may hold the secret itself by mistake. */
function isShown(path: string, name: string): boolean {
  return !/file$/i.test(name) || (isAbsolute(path) && !path.includes('\n'))
}

/** Reads one byte more than is allowed at most. Throws Node's error for a file that cannot be read. */
export function readBytes(path: string): Uint8Array {
  const file = openSync(path, 'r')
  try {
    const buffer = Buffer.alloc(MAX_BYTES + 1)
    let length = 0
    for (let read = -1; read !== 0 && length < buffer.length; length += read) {
      read = readSync(file, buffer, length, buffer.length - length, null)
    }
    return buffer.subarray(0, length)
  } finally {
    closeSync(file)
  }
}
