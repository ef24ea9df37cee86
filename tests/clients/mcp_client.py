"""Does one task with the official Python client, over the pipes and over HTTP, in both generations of the protocol.

Arguments: the phisync binary, the server's address, the owner's token. Each way takes one task of the agent WEBC and ends it.
"""

import asyncio
import sys

from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

BINARY, URL, TOKEN = sys.argv[1:]


async def one_task(way, client):
    names = [tool.name for tool in (await client.list_tools()).tools]
    assert names[:4] == ["get_task", "heartbeat_task", "complete_task", "fail_task"], names
    taken = (await client.call_tool("get_task", {"wait_s": 5})).structured_content["task"]
    claim = {"task": taken["id"], "token": taken["token"]}
    beat = await client.call_tool("heartbeat_task", {**claim, "progress": {"way": way}})
    assert beat.structured_content["cancel_requested"] is False, beat
    wrong = await client.call_tool("complete_task", {**claim, "output": {}})
    assert wrong.is_error and "output.title: is required" in wrong.content[0].text, wrong
    done = await client.call_tool("complete_task", {**claim, "output": {"title": way}})
    assert not done.is_error, done
    runs = await client.read_resource("phisync://runs")
    assert '"runs"' in runs.contents[0].text
    prompt = await client.get_prompt("work")
    assert "get_task" in prompt.messages[0].content.text
    print(way, taken["id"])


async def main():
    for mode in ["auto", "legacy"]:
        pipes = StdioServerParameters(command=BINARY, args=["mcp", "--as", "WEBC"])
        async with Client(pipes, mode=mode) as client:
            await one_task(f"pipes {client.protocol_version}", client)
        headers = {"Authorization": f"Bearer {TOKEN}", "Phisync-Agent": "WEBC"}
        http = streamable_http_client(f"{URL}/mcp", http_client=create_mcp_http_client(headers=headers))
        async with Client(http, mode=mode) as client:
            await one_task(f"http {client.protocol_version}", client)


asyncio.run(main())
