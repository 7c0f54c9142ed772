def serve(connection, scratch, threads):
    print("threads", threads, scratch)
    data = connection.recv(100)
    connection.sendall(data)
