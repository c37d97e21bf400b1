// The peer of expression.py: @vladmandic/face-api through its own API on its WebAssembly backend.
// node _expression_peer.cjs TASKS OUT: TASKS is JSON: [{name, file (n x h x w x 3 bytes), count, height, width, warm}].
// Both packages are looked up from the working folder.
'use strict'
const fs = require('fs')
const path = require('path')
const { createRequire } = require('module')

const here = createRequire(path.join(process.cwd(), 'x.js'))
const folder = (name) => path.dirname(here.resolve(name + '/package.json'))

async function main() {
  const wasm = here('@tensorflow/tfjs-backend-wasm')
  wasm.setWasmPaths(path.join(folder('@tensorflow/tfjs-backend-wasm'), 'dist') + path.sep)
  const faceapi = here('@vladmandic/face-api/dist/face-api.node-wasm.js')
  await faceapi.tf.setBackend('wasm')
  await faceapi.tf.ready()
  const model = path.join(folder('@vladmandic/face-api'), 'model')
  await faceapi.nets.ssdMobilenetv1.loadFromDisk(model)
  await faceapi.nets.faceExpressionNet.loadFromDisk(model)
  const options = new faceapi.SsdMobilenetv1Options({ minConfidence: 0.2 })
  const plain = (e) => Object.fromEntries(Object.entries(e))

  const out = { backend: faceapi.tf.getBackend(), version: faceapi.version, sets: {} }
  for (const task of JSON.parse(fs.readFileSync(process.argv[2]))) {
    const bytes = fs.readFileSync(task.file)
    const size = task.height * task.width * 3
    const judge = async (i) => {
      const picture = faceapi.tf.tensor3d(bytes.subarray(i * size, (i + 1) * size), [task.height, task.width, 3])
      const found = task.detect
        ? (await faceapi.detectSingleFace(picture, options).withFaceExpressions())?.expressions
        : await faceapi.nets.faceExpressionNet.predictExpressions(picture)
      picture.dispose()
      return found ? plain(found) : null
    }
    for (let i = 0; i < Math.min(5, task.count); i++) await judge(i)
    const wall = process.hrtime.bigint()
    const cpu = process.cpuUsage()
    const seen = []
    for (let i = 0; i < task.count; i++) seen.push(await judge(i))
    const used = process.cpuUsage(cpu)
    const seconds = Number(process.hrtime.bigint() - wall) / 1e9
    out.sets[task.name] = { seen, cpu: (used.user + used.system) / 1e6, wall: seconds }
  }
  fs.writeFileSync(process.argv[3], JSON.stringify(out))
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
