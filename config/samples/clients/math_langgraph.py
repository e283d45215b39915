"""Ask the math agent in LangGraph, and show its answer while it is being written.

python math_langgraph.py HOST PORT [QUESTION]
"""

import sys

from openai import OpenAI


def main(host: str, port: str, question: str = "What is 17 + 25?") -> None:
    """Print each call of a tool when it is done, and the answer piece by piece."""
    client = OpenAI(base_url=f"http://{host}:{port}/v1", api_key="none")
    for event in client.responses.create(model="math", input=question, stream=True):
        match event.type:
            case "response.output_item.done" if event.item.type == "mcp_call":
                print(f"{event.item.name}({event.item.arguments}) = {event.item.output}")
            case "response.output_text.delta":
                print(event.delta, end="", flush=True)
            case "response.completed":
                print()
            case "response.failed":
                sys.exit(f"no answer: {event.response.error.message}")


if __name__ == "__main__":
    main(*sys.argv[1:])
