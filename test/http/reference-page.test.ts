import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import express, { type ErrorRequestHandler } from 'express'
import request from 'supertest'
import { Refusal } from '../../src/errors.ts'
import { contractPath } from '../../src/http/contract.ts'
import { createReferencePage, findExplorer } from '../../src/http/reference-page.ts'
import { parseYaml } from '../support/yaml.ts'

const contract = readFileSync(contractPath(), 'utf8')

const tellReason: ErrorRequestHandler = (error: unknown, _req, res, next) => {
  if (!(error instanceof Refusal)) return next(error)
  res.status(405).json({ reason: error.reason, allowed: error.told.allowedMethods })
}

const app = express()
app.use(createReferencePage())
app.use('/below/a/path', createReferencePage())
app.use(tellReason)

describe('the page', () => {
  test('names Countersign and shows the contract', async () => {
    const page = await request(app)
      .get('/docs')
      .expect(200)
      .expect('Content-Type', /^text\/html/)
    expect(page.text).toContain('<h1>Countersign')
    expect(page.text).toContain('spec-url="docs/openapi.json"')
  })

  test('bears a policy that lets it ask no other server and run no inline script', async () => {
    const page = await request(app).get('/docs')
    const directives = String(page.headers['content-security-policy']).split('; ')
    expect(directives).toContain("default-src 'none'")
    expect(directives).toContain("script-src 'self'")
    expect(directives).toContain("connect-src 'self'")
    expect(directives.join(' ')).not.toMatch(/https?:|\*|unsafe-eval/)
  })

  test('refers to nothing outside of this server', async () => {
    const page = await request(app).get('/docs')
    const style = await request(app).get('/docs/page.css')
    expect(page.text + style.text).not.toMatch(/https?:|\/\/|@import|url\(/)
    expect(page.text).not.toMatch(/<script(?![^>]*\ssrc=)/)
  })

  test('finds its parts, also below a path', async () => {
    for (const prefix of ['', '/below/a/path']) {
      const page = await request(app).get(`${prefix}/docs`).expect(200)
      const links = [...page.text.matchAll(/(?:src|href|spec-url)="(?!data:)([^"]+)"/g)].map(
        ([, link]) => link,
      )
      expect(links).toContain('docs/explorer.js')
      for (const link of links) await request(app).get(`${prefix}/${link}`).expect(200)
    }
  })

  test('is found with a slash too', async () => {
    await request(app).get('/docs/').expect(308).expect('Location', '../docs')
  })

  test('serves the explorer that is installed', async () => {
    const script = await request(app)
      .get('/docs/explorer.js')
      .expect('Content-Type', /^text\/javascript/)
    expect(script.text).toBe(readFileSync(findExplorer() ?? '', 'utf8'))
  })
})

describe('the problems', () => {
  test('are explained where the type of each leads', async () => {
    const page = await request(app)
      .get('/docs/problems')
      .expect(200)
      .expect('Content-Type', /^text\/html/)
    const codes: string[] = parseYaml(contract).components.schemas.Problem.properties.code.enum
    expect(codes).toContain('slug_taken')
    for (const code of codes) expect(page.text).toContain(`<section id="${code}">`)
    expect(page.text).not.toMatch(/https?:|<script/)
  })
})

describe('the contract', () => {
  test('is served as it is written, and as JSON', async () => {
    const yaml = await request(app)
      .get('/docs/openapi.yaml')
      .buffer(true)
      .parse((res, done) => {
        let text = ''
        res.setEncoding('utf8')
        res.on('data', (part: string) => {
          text += part
        })
        res.on('end', () => done(null, text))
      })
      .expect('Content-Type', /^application\/yaml/)
    expect(yaml.body).toBe(contract)
    const json = await request(app)
      .get('/docs/openapi.json')
      .expect('Content-Type', /^application\/json/)
    expect(json.body).toEqual(parseYaml(contract))
  })
})

test('other methods are refused, other paths left to others', async () => {
  const refusal = await request(app).post('/docs')
  expect(refusal.body).toEqual({ reason: 'method_not_allowed', allowed: ['GET', 'HEAD'] })
  await request(app).get('/docs/../openapi.yaml').expect(404)
  await request(app).get('/docs/nothing').expect(404)
})
