/**
 * Follows events about the session of a page: docs/connected-clients.md. A classic script without dependencies for any page of
 * a protected host. client-script.ts serves it without indentation and without lines that are comments.
 */
;(() => {
  /** @type {{ src?: string, isConnected?: boolean }} */
  const { src } = document.currentScript ?? {}
  const url = new URL('events', src).href
  const key = `vestibule ${url}`
  if (key in window) return
  Reflect.set(window, key, 1)

  /** @typedef {{ name: string, id?: string | undefined, detail: { reason?: string } }} PageEvent */
  /** @typedef {Record<string, string> & { event?: string, data?: string, id?: string, retry?: string, session?: string }} Fields */
  /** @typedef {{ ask?: string, at?: string, from?: string | undefined, session?: string | undefined, event?: PageEvent }} Message */

  const { compare } = new Intl.Collator('en', { numeric: true })
  // Last broadcast that this page has received, or at which it began; empty before.
  let last = ''
  // Last broadcast of the connection, which is before `last` while it catches up for another page.
  let seen = ''
  // Whether there was a session; a page that never had one is left alone.
  let isKnown = false
  let isOver = false
  // Session in which this page began.
  let begun = ''
  let retryMs = 3e3
  let fails = 0
  // Time of the last bytes, or of the beginning of an attempt; 0 in a pause. In other pages that of the last message.
  let heard = 0
  let life = new AbortController()
  // Time at which a form was sent, which may be the sign-out of this page.
  let sent = 0
  // Ends the running attempt or the pause after it; exists only in the page that holds the connection.
  /** @type {AbortController | undefined} */
  let attempt
  /** @type {BroadcastChannel | undefined} */
  let channel

  /** @type {(steal?: boolean) => Promise<void>} */
  async function start(steal) {
    stop()
    const { signal } = (life = new AbortController())
    try {
      channel = new BroadcastChannel(key)
      channel.onmessage = hear
      wake()
      await navigator.locks.request(key, steal ? { steal } : { signal }, () => lead(signal))
    } catch {
      // Another page took the lock, because this one did not answer; or there are no locks, and each page has a connection.
      if (!signal.aborted) return attempt ? start() : lead(signal)
    }
  }

  // Lets go of everything, because browsers keep no page for going back to it that holds a lock or a connection.
  function stop() {
    life.abort()
    attempt?.abort()
    attempt = undefined
    channel?.close()
  }

  function wake(silentMs = 2e4) {
    const now = Date.now()
    if (attempt) {
      if (now - heard >= silentMs) attempt.abort()
    } else if (!life.signal.aborted) {
      post({ ask: last })
      // Takes over from a page that the system has put to sleep with its lock.
      setTimeout(() => {
        if (!attempt && heard < now && !life.signal.aborted && !document.hidden) void start(true)
      }, 5e3)
    }
  }

  /** @param {Message} message */
  function post(message) {
    channel?.postMessage(message)
  }

  /** @param {MessageEvent<Message>} message */
  function hear({ data }) {
    if (data.ask === undefined) learn(data)
    else if (attempt) answer(data.ask)
  }

  /** @param {Message} message */
  function learn({ at = '', from, event, session }) {
    if (attempt) return
    heard = Date.now()
    isKnown ||= !!at
    last ||= at
    if (event) take(event)
    // The connection was asked to begin after what this page has received, so something may be missing.
    if (from && compare(from, last) > 0) post({ ask: last })
    meet(session)
  }

  /** @param {string} ask */
  function answer(ask) {
    isKnown ||= ask !== ''
    // Reads again from where the other page is.
    if (ask && compare(ask, seen) < 0) {
      seen = ask
      wake(0)
    } else wake()
    post({ at: last, session: begun })
  }

  /** @param {AbortSignal} signal */
  async function lead(signal) {
    seen = last
    while (!signal.aborted) {
      const { signal: turn } = (attempt = new AbortController())
      heard = Date.now()
      fails++
      const watch = setInterval(wake, 5e3, 45e3)
      const leastMs = await follow(turn).catch(() => 0)
      clearInterval(watch)
      heard = 0
      const growing = Math.min(6e4, retryMs * 2 ** fails) * (1 - Math.random() / 2)
      if (!turn.aborted)
        await new Promise((resolve) => {
          turn.onabort = resolve
          // A pause that is too long for a timer would be none.
          setTimeout(resolve, Math.min(fails ? leastMs + growing : retryMs, 2e9))
        })
    }
  }

  /** @param {AbortSignal} signal */
  async function follow(signal) {
    const response = await fetch(url, {
      headers: seen ? { 'Last-Event-ID': seen } : {},
      credentials: 'include',
      signal,
    })
    const { status, headers, body } = response
    if (status === 401) {
      /** @type {{ reason?: string }} */
      const { reason = 'expired' } = await response.json().catch(() => ({}))
      // Asks again only when a page is loaded or shown.
      if (!isKnown) return Infinity
      share({ name: 'session-ended', detail: { reason } })
    }
    if (body && /event-stream/.test(headers.get('content-type') ?? '')) await read(body)
    // Gives the connection back, of which a browser has six.
    else await body?.cancel()
    return Number(headers.get('retry-after')) * 1e3 || 0
  }

  /** @param {ReadableStream<Uint8Array<ArrayBuffer>>} body */
  async function read(body) {
    isKnown = true
    const reader = body.pipeThrough(new TextDecoderStream()).getReader()
    let rest = ''
    /** @type {Fields} */
    let fields = {}
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return
      heard = Date.now()
      fails = 0
      // A carriage return at the end may be half of an end of line.
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/)
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const [name = '', text = ''] = line.split(/:\x20?(.*)/s)
        if (!line) {
          dispatch(fields)
          fields = {}
        } else if (name === 'data' && fields.data) fields.data += `\n${text}`
        else fields[name] = text
      }
    }
  }

  /** @param {Fields} fields */
  function dispatch({ event, data, id, retry, session }) {
    // The rest of what came together is for the page that is loaded then.
    if (isOver) return
    retryMs = Number(retry) || retryMs
    const from = seen || id
    if (id) seen = id
    if (event && data) share({ name: event, id, detail: JSON.parse(data) })
    else if (session || !last) {
      last ||= seen
      post({ at: last, from, session })
      meet(session)
    }
  }

  /**
   * Ends a page that began in another session: while it was kept for going back to it, it has not heard of the end.
   * Waits for no reason, because the browser has its new cookie.
   * @param {string} [current]
   */
  function meet(current = '') {
    begun ||= current
    if (current && current !== begun)
      take({ name: 'session-ended', detail: { reason: 'replaced' } }, /^$/)
  }

  /** @param {PageEvent} event */
  function share(event) {
    post({ event })
    take(event)
  }

  /** @param {PageEvent} event */
  function take({ name, id, detail }, slowReasons = /signed-out$|replaced/) {
    const isEnd = name === 'session-ended'
    if ((isEnd && !isKnown) || (id && compare(id, last) <= 0)) return
    isKnown = true
    last = id || last
    isOver = isEnd
    if (isEnd) stop()
    const event = new CustomEvent(`vestibule:${name}`, { detail, cancelable: isEnd })
    if (dispatchEvent(event) && isEnd) reload(slowReasons.test(`${detail.reason}`))
  }

  /**
   * Waits until the sign-out has reached the provider, or the new cookie this browser, because the page would be signed in
   * again; also while the provider may be asking in another tab, and while this page's own sign-out is on its way there.
   */
  function reload(isWaiting = document.hidden || Date.now() - sent < 6e4) {
    if (isWaiting) setTimeout(reload, 3e3)
    else location.reload()
  }

  const on = addEventListener
  on('pagehide', stop)
  on('pageshow', ({ persisted }) => void (persisted && !isOver && start()))
  on('online', () => wake(0))
  on('visibilitychange', () => wake())
  // Comes also where a script sends the form, unlike `submit`; with `beforeunload` some browsers would not keep the page.
  on('formdata', () => {
    sent = Date.now()
  })
  void start()
})()
