import { answer, type HeaderList } from './answers.ts'
import { pageHeaders, renderPage } from './pages/layout.ts'
import type { PageContent } from './pages/pages.ts'

/** Writes a page with the headers that every page has. */
export type PageWriter = (
  status: number,
  content: PageContent,
  requestId: string,
  extra?: HeaderList,
) => Promise<Response>

/** Calls `formTargets` for each page, because the provider's origins are unknown until its discovery. */
export function createPageWriter(formTargets: () => readonly string[]): PageWriter {
  return async (status, content, requestId, extra = []) => {
    const page = await renderPage({ ...content, requestId })
    const targets = [...formTargets(), ...(content.formTargets ?? [])]
    const headers = Object.entries(pageHeaders(targets))
    return answer(status, page, [...headers, ['X-Request-Id', requestId], ...extra])
  }
}
