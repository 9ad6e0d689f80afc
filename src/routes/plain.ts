/** Headers of answers that are neither pages nor JSON. */
const HEADERS = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' }

/** A short answer in plain text, or none at all. */
export function plain(status: number, text: string | null = null): Response {
  return new Response(text, { status, headers: HEADERS })
}
