from llama_stack_client import LlamaStackClient

client = LlamaStackClient(base_url="http://127.0.0.1:8321")
answer = client.responses.create(model="math", input="What is 17 + 25?")
print(answer.output_text)
