import { validateHeaderName, validateHeaderValue } from 'node:http'
import { type Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { OnUnwritten } from './answer-type.ts'
import { type Outgoing, requestIdOf } from './request.ts'

type Values = Readonly<Record<string, unknown>> | readonly unknown[]

const DENIAL = [':status', 500, 'cache-control', 'no-store', 'content-length', '0'] as const

/**
 * Returns the answer of an HTTP/2 stream with the rules of `createAnswerType`. Node checks no value here (finding C10), and
 * its own class ends each answer with a frame of its own, which costs more than the check's empty answer.
 */
export function createHttp2AnswerType(
  onUnwritten: OnUnwritten,
): typeof Http2ServerResponse<Http2ServerRequest> {
  return class Http2Answer extends Http2ServerResponse {
    counted: Outgoing['counted'] = undefined
    /** Head that is sent with the first part of the body, or alone where there is none. */
    private head: unknown[] | undefined = undefined
    private isDenied = false

    override writeHead(status: number, ...values: readonly unknown[]): this {
      if (this.isDenied) return this
      try {
        this.statusCode = status
        this.head = this.headOf(values.at(-1) as Values | string | undefined)
      } catch (cause) {
        this.deny(cause)
      }
      this.counted?.countAs(this.statusCode)
      return this
    }

    flushHeaders(): void {
      if (!this.isDenied && !this.stream.headersSent) this.sendHead(false)
    }

    override write(chunk: string | Uint8Array): boolean {
      if (this.isDenied) return false
      this.flushHeaders()
      return super.write(chunk)
    }

    override end(chunk?: unknown): this {
      if (this.isDenied) return this
      const body = this.req.method === 'HEAD' ? undefined : bodyOf(chunk)
      if (!this.stream.headersSent) this.sendHead(body === undefined)
      return body === undefined ? super.end() : super.end(body)
    }

    private headOf(values: Values | string | undefined): unknown[] {
      return [':status', this.statusCode, ...flatten(this.getHeaders()), ...flatten(values)]
    }

    private sendHead(isAll: boolean): void {
      const { stream, head = this.headOf(undefined) } = this
      this.head = undefined
      if (stream.destroyed || stream.closed) return
      try {
        stream.respond(head as string[], { endStream: isAll })
      } catch (cause) {
        // Node refuses headers of HTTP/1.1 here, such as Connection.
        if (!stream.headersSent) this.deny(cause)
      }
    }

    private deny(cause: unknown): void {
      onUnwritten(cause, requestIdOf(this.req))
      this.statusCode = 500
      this.head = [...DENIAL]
      this.sendHead(true)
      super.end()
      this.isDenied = true
    }
  }
}

function bodyOf(chunk: unknown): string | Uint8Array | undefined {
  const isBody = typeof chunk === 'string' || chunk instanceof Uint8Array
  return isBody && chunk.length > 0 ? chunk : undefined
}

/** Returns names and values in turn; throws as Node's HTTP/1 does for those that cannot be written. */
function flatten(values: Values | string = []): unknown[] {
  // Drops a status message, because HTTP/2 has none.
  if (typeof values === 'string') return []
  const pairs = Array.isArray(values) ? pairsOf(values) : Object.entries(values)
  const flat: unknown[] = []
  for (const [name, value] of pairs) {
    validateHeaderName(name)
    for (const each of Array.isArray(value) ? (value as readonly unknown[]) : [value]) {
      validateHeaderValue(name, each as string)
      flat.push(name, each)
    }
  }
  return flat
}

function pairsOf(flat: readonly unknown[]): [string, unknown][] {
  const pairs: [string, unknown][] = []
  for (let at = 0; at < flat.length; at += 2) pairs.push([String(flat[at]), flat[at + 1]])
  return pairs
}
