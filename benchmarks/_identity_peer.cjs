// The peer of identity.py: @vladmandic/face-api through its own API (detector, 68 landmarks, descriptor) on WebAssembly.
// node _identity_peer.cjs TASK OUT: TASK is JSON: {file (n x h x w x 3 bytes), count, height, width}.
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
  await faceapi.nets.faceLandmark68Net.loadFromDisk(model)
  await faceapi.nets.faceRecognitionNet.loadFromDisk(model)
  const options = new faceapi.SsdMobilenetv1Options({ minConfidence: 0.2 })

  const task = JSON.parse(fs.readFileSync(process.argv[2]))
  const bytes = fs.readFileSync(task.file)
  const size = task.height * task.width * 3
  const out = []
  const begun = process.cpuUsage()
  for (let i = 0; i < task.count; i++) {
    const picture = faceapi.tf.tensor3d(bytes.subarray(i * size, (i + 1) * size), [task.height, task.width, 3])
    const found = await faceapi.detectAllFaces(picture, options).withFaceLandmarks().withFaceDescriptors()
    picture.dispose()
    const aside = (f) => {
      const box = f.detection.box
      return Math.abs((2 * box.x + box.width) / task.width - 1) + Math.abs((2 * box.y + box.height) / task.height - 1)
    }
    found.sort((a, b) => aside(a) - aside(b))
    out.push(found.length ? Array.from(found[0].descriptor) : null)
  }
  const used = process.cpuUsage(begun)
  const cpu = (used.user + used.system) / 1e6
  fs.writeFileSync(process.argv[3], JSON.stringify({ version: faceapi.version, vectors: out, cpu }))
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
