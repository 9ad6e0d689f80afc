import { type IncomingMessage, type OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { type Outgoing, requestIdOf } from './request.ts'

/** Reports a response that could not be made or written and was replaced by a 500. */
export type OnUnwritten = (cause: unknown, requestId: string | undefined) => void

/**
 * Returns a `ServerResponse` that answers 500 where an invalid header value makes Node throw (finding C10). A subclass,
 * because it is Node's own hook for every response.
 */
export function createAnswerType(onUnwritten: OnUnwritten): typeof ServerResponse<IncomingMessage> {
  return class Answer extends ServerResponse implements Outgoing {
    counted: Outgoing['counted'] = undefined

    override writeHead(status: number, reason?: unknown, headers?: unknown): this {
      try {
        super.writeHead(status, reason as string, headers as OutgoingHttpHeaders)
      } catch (cause) {
        this.deny(cause)
      }
      this.counted?.countAs(this.statusCode)
      return this
    }

    private deny(cause: unknown): void {
      onUnwritten(cause, requestIdOf(this.req))
      // Ignores the error of writing the original response's body after this end.
      this.on('error', () => undefined)
      for (const name of this.getHeaderNames()) this.removeHeader(name)
      super.writeHead(500, { 'Cache-Control': 'no-store', 'Content-Length': '0' })
      super.end()
    }
  }
}
