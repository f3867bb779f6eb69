"""The prompt service over the broker."""

from imagetron_chassis.rpc import NotNow, Refused, RpcClient
from imagetron_contracts.rpc import Request
from imagetron_gateway.ports import PromptsRefused, ReplyT


class RpcPrompts:
    """Implements the Prompts port."""

    def __init__(self, client: RpcClient) -> None:
        self._client = client

    async def ask(self, request: Request, reply: type[ReplyT], *, within_seconds: float) -> ReplyT:
        try:
            return await self._client.call(request, reply, deadline_seconds=within_seconds)
        except (Refused, NotNow) as error:
            raise PromptsRefused(error.refusal) from error
