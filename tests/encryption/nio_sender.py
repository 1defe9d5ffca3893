"""Sends an encrypted message with matrix-nio: nio_sender.py URL USER STORE ROOM TEXT. The password is the tests'; the
event's id is printed."""

import asyncio
import os
import sys

from nio import AsyncClient, AsyncClientConfig, LoginResponse, RoomSendResponse


async def main():
    url, user, store, room, text = sys.argv[1:]
    os.makedirs(store)
    client = AsyncClient(url, user, store_path=store, config=AsyncClientConfig(encryption_enabled=True))
    try:
        login = await client.login("secret", device_name="nio")
        assert isinstance(login, LoginResponse), login
        if client.should_upload_keys:
            await client.keys_upload()
        await client.sync(timeout=500, full_state=True)
        if client.should_query_keys:
            await client.keys_query()
        content = {"msgtype": "m.text", "body": text}
        sent = await client.room_send(room, "m.room.message", content, ignore_unverified_devices=True)
        assert isinstance(sent, RoomSendResponse), sent
        print(sent.event_id)
    finally:
        await client.close()


asyncio.run(main())
