"""Talk with the math agent in CrewAI: each question knows what was said before it.

python math_crewai.py HOST PORT [QUESTION ...]
"""

import sys

from llama_stack_client import LlamaStackClient

QUESTIONS = ("What is 17 + 25?", "What did I ask first?")


def main(host: str, port: str, *questions: str) -> None:
    """Print the answers, one a line."""
    client = LlamaStackClient(base_url=f"http://{host}:{port}")
    before = None
    for question in questions or QUESTIONS:
        answer = client.responses.create(
            model="math-crewai", input=question, previous_response_id=before
        )
        if answer.error is not None:
            sys.exit(f"no answer: {answer.error.message}")
        print(answer.output_text)
        before = answer.id


if __name__ == "__main__":
    main(*sys.argv[1:])
