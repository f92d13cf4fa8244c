// Uploads a file with tus-js-client as it comes from npm: `node tus_client.cjs PACKAGES ENDPOINT KEY FILE NAME`. Says on
// standard output how far it is, and at the end `done URL`.

const fs = require('node:fs');
const [packages, endpoint, key, file, name] = process.argv.slice(2);
const tus = require(require.resolve('tus-js-client', { paths: [packages] }));

const upload = new tus.Upload(fs.createReadStream(file), {
  endpoint,
  uploadSize: fs.statSync(file).size,
  retryDelays: Array(40).fill(250),
  headers: { Authorization: `Bearer ${key}` },
  metadata: { bucket: 'main', name, filetype: 'application/octet-stream' },
  onProgress: (sent) => console.log(`sent ${sent}`),
  onError: (error) => {
    console.error(String(error));
    process.exit(1);
  },
  onSuccess: () => console.log(`done ${upload.url}`),
});
upload.start();
