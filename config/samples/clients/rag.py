"""Ask an agent that answers from documents, and show the passages that its answer rests on.

python rag.py HOST PORT [QUESTION]
"""

import sys

from llama_stack_client import LlamaStackClient


def main(host: str, port: str, question: str = "What does the handbook say of hotels?") -> None:
    """Print the passages that were found, then the answer."""
    client = LlamaStackClient(base_url=f"http://{host}:{port}")
    answer = client.responses.create(model="librarian", input=question)
    if answer.error is not None:
        sys.exit(f"no answer: {answer.error.message}")
    for item in answer.output:
        if item.type == "mcp_call":
            print(item.output)
    print(answer.output_text)


if __name__ == "__main__":
    main(*sys.argv[1:])
