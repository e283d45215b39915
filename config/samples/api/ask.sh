curl http://127.0.0.1:8321/v1/responses -H 'content-type: application/json' \
  -d '{"model": "math", "input": "What is 17 + 25?"}'
