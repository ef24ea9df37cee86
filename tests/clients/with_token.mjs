// Passes requests on to a server with the token that the conformance suite cannot send, and says its own port first.
//
// Arguments: the server's address, the token, the agent. `Host` and `Origin` that name this proxy are made to name the server; others
// stay, so that the server's checks of them are the ones tested.

import http from 'node:http';

const [target, token, agent] = process.argv.slice(2);
const server = new URL(target);
const proxy = http.createServer((request, response) => {
  const own = `:${proxy.address().port}`;
  const headers = { ...request.headers, authorization: `Bearer ${token}`, 'phisync-agent': agent };
  if (headers.host?.endsWith(own)) headers.host = server.host;
  if (headers.origin?.endsWith(own)) headers.origin = server.origin;
  const { hostname, port } = server;
  const passed = http.request({ hostname, port, path: request.url, method: request.method, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  passed.on('error', () => response.destroy());
  request.pipe(passed);
});
proxy.listen(0, '127.0.0.1', () => console.log(proxy.address().port));
