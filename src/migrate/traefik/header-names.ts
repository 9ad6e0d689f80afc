import { FORWARDED_IDENTITY_HEADERS } from '../../core/identity-headers.ts'

/** Returns whether `IDENTITY_HEADERS` may send a header of this name, to which no proxy and no check gives a meaning. */
export function isFreeHeader(name: string): boolean {
  const isForwarded = FORWARDED_IDENTITY_HEADERS.some(
    (each) => each.toLowerCase() === name.toLowerCase(),
  )
  return isForwarded || (/^[A-Za-z\d-]{1,64}$/.test(name) && !TAKEN.test(name))
}

const TAKEN =
  /^(?:cookie|set-cookie|authorization|host|connection|content-.*|transfer-encoding|upgrade|te|trailer|location|cache-control|forwarded|x-forwarded-.*|x-real-ip|x-auth-request-.*)$/i

/** Writes a text for a template of `IDENTITY_HEADERS`, in which braces and quotes are doubled. */
export function inTemplate(text: string): string {
  return text.replaceAll(/[{}"]/g, '$&$&')
}
