import { AsyncLocalStorage } from 'node:async_hooks'
import type { IncomingMessage, RequestListener } from 'node:http'
import type { Context, SpanContext } from '@opentelemetry/api'
import { type Answer, contextOf, notedRefusal } from '../http/request-context.ts'
import { nameEndpoint } from './observe.ts'

/** Wraps a task so that each time it runs stands in the trace of the request that it is for. */
export type Traced = <Task extends (...args: never[]) => Promise<unknown>>(name: string, task: Task) => Task

export type Tracing = {
  /** Wraps the handling of requests: a span for each, which continues the caller's trace (W3C Trace Context). */
  handle: (listener: RequestListener) => RequestListener
  traced: Traced
  /** Sends what has not been sent. */
  close(): Promise<void>
}

/**
 * Starts OpenTelemetry's own SDK, which reads its standard variables (`OTEL_…`): where spans are sent, which ones, under
 * what name. Loaded only where this is called, so that nobody pays for what is off. Sets nothing for the process as a
 * whole: several servers can run in one.
 */
export async function startTracing(options: { version: string; basePath: string }): Promise<Tracing> {
  const [{ ROOT_CONTEXT, SpanKind, SpanStatusCode, trace }, sdk, { OTLPTraceExporter }, resources] =
    await Promise.all([
      import('@opentelemetry/api'),
      import('@opentelemetry/sdk-trace-node'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'),
    ])
  const named = resources.resourceFromAttributes({
    'service.name': 'countersign',
    'service.version': options.version,
  })
  const given = resources.detectResources({ detectors: [resources.envDetector] })
  const provider = new sdk.BasicTracerProvider({
    resource: resources.defaultResource().merge(named).merge(given),
    spanProcessors: [new sdk.BatchSpanProcessor(new OTLPTraceExporter())],
  })
  const tracer = provider.getTracer('countersign', options.version)
  const present = new AsyncLocalStorage<Context>()

  return {
    handle: (listener) => (req, res) => {
      const [path = ''] = (req.url ?? '').split(/[?#]/, 1)
      const endpoint = nameEndpoint(
        path.startsWith(options.basePath) ? path.slice(options.basePath.length) : path,
      )
      const remote = readTraceParent(req)
      const parent = remote === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote)
      const attributes = { 'http.request.method': req.method ?? '', 'countersign.endpoint': endpoint }
      const span = tracer.startSpan(
        `${req.method} ${endpoint}`,
        { kind: SpanKind.SERVER, attributes },
        parent,
      )
      res.once('close', () => {
        const answer = res as Answer
        span.setAttribute('http.response.status_code', res.statusCode)
        if (answer.locals !== undefined) {
          span.setAttribute('countersign.request_id', contextOf(answer).requestId)
          const reason = notedRefusal(answer)?.reason
          if (reason !== undefined) span.setAttribute('countersign.reason', reason)
        }
        if (res.statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
        span.end()
      })
      present.run(trace.setSpan(parent, span), () => listener(req, res))
    },

    traced<Task extends (...args: never[]) => Promise<unknown>>(name: string, task: Task) {
      const wrapped = async (...args: Parameters<Task>) => {
        const parent = present.getStore()
        // Not for a request: maintenance, or a batch that somebody else waits for.
        if (parent === undefined) return task(...args)
        const span = tracer.startSpan(name, {}, parent)
        try {
          return await present.run(trace.setSpan(parent, span), () => task(...args))
        } catch (error) {
          // A refusal is an answer. What it says stands in the log, under the request's id.
          span.setAttribute('error.type', error instanceof Error ? error.name : 'unknown')
          throw error
        } finally {
          span.end()
        }
      }
      // It takes what the task takes and answers what it answers, also where that hangs on what is given.
      return wrapped as unknown as Task
    },

    close: () => provider.shutdown(),
  }
}

/** W3C Trace Context §3.2: two of 32 and 16 digits, neither all zero. Anything else begins a new trace. */
const TRACE_PARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/

function readTraceParent({ headers: { traceparent } }: IncomingMessage): SpanContext | undefined {
  const [, traceId, spanId, flags] =
    (typeof traceparent === 'string' ? TRACE_PARENT.exec(traceparent) : null) ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true }
}
