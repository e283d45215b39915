from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8321/v1", api_key="none")
answer = client.responses.create(model="math", input="What is 17 + 25?")
print(answer.output_text)

again = client.responses.create(
    model="math", input="What is 8 + 4?", previous_response_id=answer.id, stream=True
)
for event in again:
    if event.type == "response.output_text.delta":
        print(event.delta, end="", flush=True)
