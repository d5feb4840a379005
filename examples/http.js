// Requests over HTTP: a token, a form, several requests at a time, and limits on how long they may take.
//
//   senary run -e BASE_URL=https://shop.example.com examples/http.js
import http from 'k6/http'
import { check, group, sleep } from 'k6'

const BASE_URL = __ENV.BASE_URL
const timeout = '5s'

export const options = {
  strict: true,
  vus: 2,
  iterations: 4,
  thresholds: {
    http_req_failed: ['rate<0.01'],
    http_req_duration: ['p(95)<2000'],
    'http_req_duration{name:product}': ['avg<1000'],
  },
}

export function setup() {
  const response = http.post(`${BASE_URL}/login`, { user: 'ann', password: 'secret' }, { timeout })
  if (response.status !== 200) throw new Error(`no login: ${response.error || response.status_text}`)
  return { token: response.json('token') }
}

export default function ({ token }) {
  const params = { headers: { Authorization: `Bearer ${token}` }, timeout }

  group('browse', () => {
    const [home, list] = http.batch([['GET', `${BASE_URL}/`, null, params], ['GET', `${BASE_URL}/products`, null, params]])
    check(home, { 'the page has a title': (r) => r.html('title').text() !== '' })
    for (const id of list.json('products.#.id')) {
      // One name for all of them, so that metrics have one line.
      http.get(`${BASE_URL}/products/${id}`, { ...params, tags: { name: 'product' } })
    }
  })

  group('order', () => {
    const order = JSON.stringify({ product: 1, amount: 2 })
    const headers = { ...params.headers, 'Content-Type': 'application/json' }
    const response = http.post(`${BASE_URL}/orders`, order, { headers, timeout })
    check(response, {
      'created': (r) => r.status === 201,
      'it is the order that was sent': (r) => r.json('amount') === 2,
    })
  })
  sleep(0.1)
}
