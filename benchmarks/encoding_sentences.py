"""Comments and messages as programmers write them, a dozen or more short ones in each of 24 languages.

Written for `benchmarks/text_encodings.py`, and used nowhere in the decoder: its tables come from other words.
"""

SENTENCES = {
    "English": """
© 2004 The authors, all rights reserved
Temperature in °C, tolerance ± 0.5
the user’s name – may be empty
Use “quotes” here, not 'apostrophes'
size in µm, area in m²
the naïve version; see the résumé of results
price in £, not in €
café names are stored as they are
angle in degrees: 0° to 360°
first § of the licence • second § of the notes
half of it: ½, a quarter: ¼
""",
    "German": """
Prüft, ob die Größe gültig ist
Lädt alle Einträge aus der Datenbank
Rückgabewert: Anzahl der geänderten Zeilen
Fehler beim Öffnen der Datei
Länge darf nicht größer als Maximum sein
Überschreibt die alte Konfiguration
Schließt die Verbindung und löscht den Puffer
Wählt den nächsten freien Platz für das Gerät
Zähler zurücksetzen, bevor die Schleife beginnt
Der Schlüssel wird für spätere Aufrufe aufbewahrt
Ungültiges Argument für die Ausführung
Straße und Hausnummer müssen ausgefüllt werden
gibt true zurück, falls möglich
""",
    "French": """
Crée une nouvelle fenêtre à partir des paramètres
Vérifie que le fichier a été chargé
Retourne le numéro de la dernière ligne
Erreur : accès refusé à la base de données
La méthode est appelée après chaque requête
Réinitialise le compteur à zéro
Ajoute un élément à la liste déjà triée
Où se trouve le répertoire de sortie ?
Supprime les espaces au début et à la fin de la chaîne
Le résultat dépend de la précision demandée
Écrit les données dans le modèle
Il faut être connecté pour accéder à cette page
Paramètre optionnel, reçu du contrôleur
""",
    "Spanish": """
Función que devuelve el tamaño del vector
Añade un elemento al final de la lista
Número de líneas leídas del archivo
Error: la conexión no está disponible
Comprueba si el usuario ha iniciado sesión
Última modificación del código
¿Qué ocurre si el índice es demasiado grande?
Configuración de la aplicación según el año
Método que crea la tabla si aún no existe
Borra también los archivos vacíos
Contraseña inválida, inténtelo más tarde
Dirección de la compañía en español
""",
    "Portuguese": """
Função que retorna a posição do vetor não ordenado
Verifica se o usuário já está cadastrado
Número máximo de conexões permitidas
Erro na configuração do servidor
Não é possível abrir o arquivo
Atualiza as informações da sessão
Cálculo da média após a última leitura
Código do cliente e endereço de cobrança
Então, lê o próximo valor até o fim
Seleção de opções do botão de ação
A operação será executada amanhã de manhã
Este método é chamado três vezes
""",
    "Italian": """
Restituisce la quantità più grande
Verifica se la proprietà è già presente
Non è possibile aprire il file perché manca
La città e l'età dell'utente
Però la velocità può cambiare
Così il valore sarà sempre positivo
Quantità minima per ogni unità
Aggiunge la priorità alla attività
Né il nome né la qualità sono validi
Cioè la funzione più semplice
Qui c'è un'eccezione: non si può scrivere
""",
    "Dutch": """
Geeft de coördinaten van het object terug
Het bestand kan niet geïnitialiseerd worden
Controleert één voor één alle regels
De creatie van categorieën is beëindigd
Zoekt naar ruïnes in de geïmporteerde lijst
Alle financiële gegevens en variëteiten
Vóór de aanroep moet de buffer leeg zijn
Ideeën voor een efficiënte oplossing
De industriële versie is geüpdatet
""",
    "Swedish": """
Kontrollera om användaren är inloggad
Hämtar alla värden från databasen
Returnerar längden på strängen
Fel: filen går inte att öppna
Gör om så att listan blir sorterad
Lägg till en ny rad i början
Används för att räkna antalet träffar
Går igenom nästa steg i kön
Värdet får inte vara större än noll
Stänger fönstret och återställer läget
Ändra på måttet när något händer
Så här ser lösningen ut på svenska
""",
    "Danish": """
Læser næste linje fra filen
Returnerer længden på den største række
Fejl: kan ikke åbne forbindelsen
Tilføjer en ny måned til året
Bør ikke ændres af brugeren
Gør det muligt at gemme værdien
Afslutter når køen er tom
Både før og efter kaldet
Første og sidste nøgle i træet
Prøv igen på et senere tidspunkt
Må kun bruges én gang på hver side
""",
    "Finnish": """
Lisää uuden käyttäjän järjestelmään
Päivittää näytön jokaisen syötteen jälkeen
Tämä metodi palauttaa pöydän leveyden
Virhe: tiedostoa ei löydy
Käynnistää pelin ja lähettää viestin
Näyttää käyttäjälle kysymyksen
Määrittelee tärkeät vakiot tässä
Etsii lähimmän pisteen ja siirtää sen
Jos syöte on tyhjä, ei tehdä mitään
Lopettaa säikeen työn myöhemmin
Väri täytyy määrittää ennen piirtämistä
""",
    "Polish": """
Sprawdza, czy użytkownik jest zalogowany
Błąd: nie można otworzyć pliku
Zwraca długość największej ścieżki
Wczytuje następną linię z wejścia
Usuwa wszystkie puste wartości z listy
Jeśli wartość jest większa od zera
Tworzy nowe okno główne aplikacji
Łączy się z bazą danych przez sieć
Późniejsze wywołanie zastąpi tę funkcję
Dodaj właściwość do węzła drzewa
Wyświetla komunikat o błędzie
Każdy żądany element musi być gotów
""",
    "Czech": """
Vrátí délku největšího řetězce
Chyba: soubor nelze otevřít
Načte všechny záznamy z databáze
Přidá nový řádek na začátek
Kontroluje, zda je uživatel přihlášen
Pokud není hodnota větší než nula
Smaže dočasné soubory při ukončení
Žádný výsledek nebyl nalezen
Spočítá průměr a uloží jej do proměnné
Třída představuje základní okno
Funkce zjistí, kdy byla naposledy změněna
Další možnost se použije později
""",
    "Hungarian": """
Visszaadja a felhasználó nevét
Hiba: nem sikerült megnyitni a fájlt
Létrehoz egy új ablakot és megjeleníti
Beállítja az időzítő értékét
Törli az összes üres sort a végéről
Ellenőrzi, hogy a jelszó elég erős-e
Következő elem a várakozási sorból
Ha több mint egy gyökér létezik
Kiszámítja a kör területét és kerületét
Először a régi adatokat kell frissíteni
Csatlakozás előtt lefutó függvény
Különböző színű betűk közötti távolság
""",
    "Romanian": """
Numărul de linii citite din fişier
În această funcţie se face conversia
Afişează mesajul după ce s-a terminat
Verifică dacă utilizatorul există
Şterge toate elementele din listă
Întoarce cea mai mare valoare
Adaugă o nouă înregistrare în tabelă
Eroare: nu se poate deschide fişierul
Când câmpul este gol, îl ignoră
Mărimea şi lăţimea paginii
""",
    "Turkish": """
Kullanıcının giriş yapıp yapmadığını kontrol eder
Dosya açılamadı, lütfen tekrar deneyin
Yeni bir öğe ekler ve sayıyı döndürür
Hata: bağlantı kurulamıyor
Sıradaki değeri okur
Eğer liste boşsa işlem yapılmaz
Şifre en az sekiz karakter olmalıdır
Tüm kayıtları veritabanından siler
Pencere boyutunu değiştirir
Açıklama satırı: ölçüm sonuçları aşağıda
Bu işlev her güncellemede çağrılır
İlk ağacın kökünü bulur
""",
    "Russian": """
Автор
Проверяет, что пользователь вошёл в систему
Возвращает длину строки
Ошибка: не удалось открыть файл
Читает следующую запись из базы данных
Удаляет все пустые значения из списка
Если значение больше нуля, выходим
Создаёт новое окно приложения
Функция вызывается после каждого запроса
Количество найденных элементов
Сохранить настройки перед закрытием
Временный файл будет удалён позже
Не используйте этот метод в новом коде
НЕ МЕНЯТЬ ПОРЯДОК ПОЛЕЙ
""",
    "Ukrainian": """
Перевіряє, чи користувач увійшов до системи
Повертає довжину рядка
Помилка: не вдалося відкрити файл
Читає наступний запис із бази даних
Видаляє всі порожні значення зі списку
Якщо значення більше нуля, виходимо
Створює нове вікно програми
Функція викликається після кожного запиту
Кількість знайдених елементів
Зберегти налаштування перед закриттям
Тимчасовий файл буде вилучено пізніше
""",
    "Bulgarian": """
Проверява дали потребителят е влязъл
Връща дължината на низа
Грешка: файлът не може да бъде отворен
Чете следващия запис от базата данни
Изтрива всички празни стойности от списъка
Ако стойността е по-голяма от нула
Създава нов прозорец на приложението
Функцията се извиква след всяка заявка
Брой на намерените елементи
Запазва настройките преди затваряне
""",
    "Greek": """
Ελέγχει αν ο χρήστης είναι συνδεδεμένος
Επιστρέφει το μήκος της γραμμής
Σφάλμα: δεν ήταν δυνατό το άνοιγμα του αρχείου
Διαβάζει την επόμενη εγγραφή από τη βάση
Διαγράφει όλες τις κενές τιμές από τη λίστα
Αν η τιμή είναι μεγαλύτερη από το μηδέν
Δημιουργεί ένα νέο παράθυρο
Η συνάρτηση καλείται μετά από κάθε αίτημα
Αριθμός στοιχείων που βρέθηκαν
Αποθήκευση ρυθμίσεων πριν το κλείσιμο
""",
    "Chinese (simplified)": """
检查用户是否已经登录
返回字符串的长度
错误：无法打开文件
从数据库读取下一条记录
删除列表中所有的空值
如果值大于零则退出
创建新的应用程序窗口
每次请求之后调用此函数
找到的元素数量
关闭之前保存设置
初始化串口
不要在新代码里使用这个方法
设置默认参数
""",
    "Chinese (traditional)": """
檢查使用者是否已經登入
傳回字串的長度
錯誤：無法開啟檔案
從資料庫讀取下一筆記錄
刪除清單中所有的空值
如果值大於零就離開
建立新的應用程式視窗
每次要求之後呼叫這個函式
找到的元素數量
關閉之前儲存設定
初始化序列埠
請勿在新的程式碼裡使用
""",
    "Japanese": """
ユーザーがログインしているか確認する
文字列の長さを返す
エラー：ファイルを開けませんでした
データベースから次のレコードを読み込む
リストから空の値をすべて削除する
値がゼロより大きい場合は終了
新しいウィンドウを作成します
リクエストのたびに呼び出される関数
見つかった要素の数
閉じる前に設定を保存
初期化
この関数は使わないでください
""",
    "Korean": """
사용자가 로그인했는지 확인한다
문자열의 길이를 반환합니다
오류: 파일을 열 수 없습니다
데이터베이스에서 다음 레코드를 읽는다
목록에서 빈 값을 모두 삭제
값이 영보다 크면 종료
새 창을 만든다
요청할 때마다 호출되는 함수
찾은 요소의 개수
닫기 전에 설정을 저장
초기화
이 함수는 사용하지 마세요
""",
    "Hebrew": """
בודק אם המשתמש מחובר למערכת
מחזיר את אורך המחרוזת
שגיאה: לא ניתן לפתוח את הקובץ
קורא את הרשומה הבאה ממסד הנתונים
מוחק את כל הערכים הריקים מהרשימה
אם הערך גדול מאפס
יוצר חלון חדש
מספר הפריטים שנמצאו
""",
}
