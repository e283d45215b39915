"""The API's types as the server of this environment has them."""

from runtime.amf.flavour import api_module

_api = api_module()
CreateResponseRequest = _api.CreateResponseRequest
OpenAIChatCompletionRequestWithExtraBody = _api.OpenAIChatCompletionRequestWithExtraBody
OpenAIResponseObject = _api.OpenAIResponseObject
OpenAIResponseObjectStream = _api.OpenAIResponseObjectStream
