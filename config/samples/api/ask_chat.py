from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8321/v1", api_key="none")
answer = client.chat.completions.create(
    model="agents/math", messages=[{"role": "user", "content": "What is 17 + 25?"}]
)
print(answer.choices[0].message.content)
