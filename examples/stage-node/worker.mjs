// A stage of Caseframe in Node.js: how random the bytes of a picture's file are. It takes tasks from
// its queue, fetches each picture from the job manager, and answers when the broker has the answer.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import grpc from '@grpc/grpc-js'
import loader from '@grpc/proto-loader'
import amqp from 'amqplib'
import { measure } from './entropy.mjs'

const QUEUE = process.env.STAGE_QUEUE ?? 'entropy'
const ANSWERS = 'JobManager'
const PROTO = process.env.JOBMANAGER_PROTO ?? fileURLToPath(new URL('../../proto/jobmanager.proto', import.meta.url))
const PAUSE_MS = 2000 // before a picture is asked for again while the job manager is away

const file = name => process.env[name] && readFileSync(process.env[name])
const setting = name => process.env[name] ?? exit(2, `set ${name}, see README.md`)
function exit(status, reason) {
  if (reason) console.error(`${QUEUE}: ${reason}`)
  process.exit(status) // whoever supervises us starts us again, and every task comes again
}

function connectJobs() {
  const [ca, key, cert] = ['CA', 'KEY', 'CERT'].map(part => file(`CASEFRAME_JOBS_TLS_${part}`))
  const credentials = ca ? grpc.credentials.createSsl(ca, key, cert) : grpc.credentials.createInsecure()
  const { jobmanager } = grpc.loadPackageDefinition(loader.loadSync(PROTO, { includeDirs: [] }))
  return new jobmanager.JobManagerController(setting('CASEFRAME_JOBS_ADDRESS'), credentials)
}

function connectBroker() {
  const url = new URL(setting('CASEFRAME_AMQP_URL'))
  const password = file('CASEFRAME_AMQP_PASSWORD_FILE')
  if (password) url.password = encodeURIComponent(password.toString().trim())
  const [ca, key, cert] = ['CA', 'KEY', 'CERT'].map(part => file(`CASEFRAME_AMQP_${part}`))
  return amqp.connect(url.href, { ca: ca && [ca], key, cert, servername: url.hostname })
}

async function declare(channel, queue) {
  const dead = `${queue}.dead`
  await channel.assertExchange('img.dlx', 'topic', { durable: true })
  await channel.assertQueue(dead, { durable: true })
  await channel.bindQueue(dead, 'img.dlx', `${queue}.#`)
  // Exactly these arguments: with any other the broker refuses whoever declares it second.
  await channel.assertQueue(queue, { durable: true, deadLetterExchange: 'img.dlx', deadLetterRoutingKey: dead })
}

// The result for one task; throws what gRPC says when the picture cannot be had.
async function work(jobs, task, headers) {
  const metadata = new grpc.Metadata()
  metadata.set('x-correlation-id', String(headers['x-correlation-id'] ?? ''))
  metadata.set('authorization', String(headers.authorization ?? ''))
  const exact = Buffer.from(task.pathBytes ?? '', 'base64') // a name that is not UTF-8
  const digest = createHash('sha256')
  const result = await measure(jobs.getData({ filepath: task.filepath, path: exact }, metadata), digest)
  if (task.sha256 && task.sha256 !== digest.digest('hex')) throw new Error('the file changed since it was scanned')
  return result
}

async function answerFor(jobs, task, headers) {
  const about = ['jobId', 'filepath', 'pathBytes', 'md5', 'sha256', 'stage', 'stageVersion', 'attempt']
  const answer = { from: QUEUE, to: ANSWERS, ...Object.fromEntries(about.map(key => [key, task[key]])), errors: [] }
  for (;;) {
    try {
      return { ...answer, result: await work(jobs, task, headers), time: new Date().toISOString() }
    } catch (error) {
      if (error.code !== grpc.status.UNAVAILABLE) {
        return { ...answer, errors: [error.details || error.message], time: new Date().toISOString() }
      }
    }
    await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
  }
}

let ending = false
const jobs = connectJobs()
const connection = await connectBroker().catch(error => exit(1, error.message))
connection.on('error', error => exit(1, error.message))
connection.on('close', () => exit(ending ? 0 : 1))
const channel = await connection.createConfirmChannel()
channel.on('error', error => exit(1, error.message))
channel.on('return', () => exit(1, `there is no queue ${ANSWERS}`))
await declare(channel, ANSWERS)
await declare(channel, QUEUE)
await channel.prefetch(4)

const atWork = new Set()
async function handle(message) {
  let task
  try {
    task = JSON.parse(message.content.toString())
  } catch {
    return channel.reject(message, false) // to the dead letters
  }
  const { headers } = message.properties
  const answer = Buffer.from(JSON.stringify(await answerFor(jobs, task, headers)))
  const options = { persistent: true, mandatory: true, contentType: 'application/json', headers }
  await new Promise((resolve, reject) => {
    channel.sendToQueue(ANSWERS, answer, options, error => (error ? reject(error) : resolve()))
  })
  channel.ack(message) // only now: had we ended before, the task would come again
}
const { consumerTag } = await channel.consume(QUEUE, message => {
  if (message === null) exit(1, 'the queue was deleted')
  const one = handle(message).catch(error => exit(1, error.message)).finally(() => atWork.delete(one))
  atWork.add(one)
})
console.log(`${QUEUE}: waiting for tasks`)

process.on('SIGTERM', async () => {
  ending = true
  await channel.cancel(consumerTag)
  await Promise.all(atWork)
  await connection.close()
})
