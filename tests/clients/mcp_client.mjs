// Does one task with the official TypeScript client, over the pipes and over HTTP.
//
// Arguments: the phisync binary, the server's address, the owner's token. Each way takes one task of the agent WEBC and ends it.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

// The packages lie with the build, not beside this file.
const require = createRequire(path.join(process.env.PHISYNC_NODE_MODULES, 'x.js'));
const load = (name) => import(pathToFileURL(require.resolve(`@modelcontextprotocol/sdk/${name}`)));
const { Client } = await load('client/index.js');
const { StdioClientTransport } = await load('client/stdio.js');
const { StreamableHTTPClientTransport } = await load('client/streamableHttp.js');

const [binary, url, token] = process.argv.slice(2);

async function oneTask(way, transport) {
  const client = new Client({ name: 'phisync-tests', version: '1' });
  await client.connect(transport);
  const names = (await client.listTools()).tools.map((tool) => tool.name);
  assert.deepEqual(names.slice(0, 4), ['get_task', 'heartbeat_task', 'complete_task', 'fail_task']);
  const call = (name, args) => client.callTool({ name, arguments: args });
  const { task } = (await call('get_task', { wait_s: 5 })).structuredContent;
  const claim = { task: task.id, token: task.token };
  assert.equal((await call('heartbeat_task', claim)).structuredContent.cancel_requested, false);
  const wrong = await call('complete_task', { ...claim, output: {} });
  assert.ok(wrong.isError && wrong.content[0].text.includes('output.title: is required'), JSON.stringify(wrong));
  const done = await call('complete_task', { ...claim, output: { title: way } });
  assert.ok(!done.isError, JSON.stringify(done));
  const runs = await client.readResource({ uri: 'phisync://runs' });
  assert.ok(runs.contents[0].text.includes('"runs"'));
  await client.close();
  console.log(way, task.id);
}

await oneTask('pipes', new StdioClientTransport({ command: binary, args: ['mcp', '--as', 'WEBC'] }));
const headers = { Authorization: `Bearer ${token}`, 'Phisync-Agent': 'WEBC' };
await oneTask('http', new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers } }));
