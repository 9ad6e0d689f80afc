import { pageHeaders, renderPage } from './layout.ts'
import type { PageContent } from './pages.ts'

/** Further response headers; `Set-Cookie` may occur several times. */
export type ExtraHeaders = readonly (readonly [string, string])[]

/** Writes a page with the headers that every page has. */
export type PageWriter = (
  status: number,
  content: PageContent,
  requestId: string,
  extra?: ExtraHeaders,
) => Promise<Response>

/** `formTargets` names where forms may lead beside ourselves; asked each time, since the provider may be found later. */
export function createPageWriter(formTargets: () => readonly string[]): PageWriter {
  return async (status, content, requestId, extra = []) => {
    const page = await renderPage({ ...content, requestId })
    return respond(
      status,
      page,
      [...Object.entries(pageHeaders(formTargets())), ...extra],
      requestId,
    )
  }
}

/** A refusal for programs. */
export function writeJson(
  status: number,
  body: Readonly<Record<string, unknown>>,
  requestId: string,
  extra: ExtraHeaders = [],
): Response {
  const headers: ExtraHeaders = [
    ['Content-Type', 'application/json'],
    ['Cache-Control', 'no-store'],
    ['X-Content-Type-Options', 'nosniff'],
    ['Vary', 'Cookie, Authorization'],
    ...extra,
  ]
  return respond(status, JSON.stringify(body), headers, requestId)
}

function respond(status: number, body: string, headers: ExtraHeaders, requestId: string): Response {
  const all = new Headers({ 'X-Request-Id': requestId })
  for (const [name, value] of headers) {
    if (name === 'Set-Cookie') all.append(name, value)
    else all.set(name, value)
  }
  return new Response(body, { status, headers: all })
}
