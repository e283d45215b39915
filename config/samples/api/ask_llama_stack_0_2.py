from llama_stack_client import Agent, AgentEventLogger, LlamaStackClient

client = LlamaStackClient(base_url="http://127.0.0.1:8321")
agent = Agent(client, model="math", instructions="Be brief.")
session = agent.create_session("sums")
turn = agent.create_turn([{"role": "user", "content": "What is 17 + 25?"}], session_id=session)
for event in AgentEventLogger().log(turn):
    event.print()
